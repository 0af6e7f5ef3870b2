"""The main job by its commands: create, run, look, write the best, train it again, predict, evaluate."""

from __future__ import annotations

import csv
import io
import json
import shutil

import pytest
from typer.testing import CliRunner

from optdet.cli.app import app


@pytest.fixture
def optdet(finished, monkeypatch):
    """A command in the finished study's folder; its output."""
    monkeypatch.chdir(finished.folder)

    def run(*words):
        result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    return run


@pytest.fixture
def copied(finished, tmp_path):
    """The finished study in another place, to be changed: stored paths are relative, so it may move."""
    folder = tmp_path / "moved"
    shutil.copytree(finished.folder, folder)
    return folder


def test_create_and_run(finished):
    assert finished.created.returncode == 0, finished.created.stderr
    assert finished.created.stdout.splitlines() == [
        "created: study tiny, 4 trials, in sqlite:///studies/optdet.db",
        "run it: optdet study run tiny",
    ]
    assert finished.ran.returncode == 0, finished.ran.stderr
    said = finished.ran.stderr
    assert said.startswith("study tiny\n")
    assert "trial 0 epoch 3/3: " in said
    assert " pruned " in said
    assert "Warning" not in said
    assert "tiny is full: 4 of 4 trials" in finished.ran.stdout


def test_create_again(optdet):
    assert optdet("study", "create", "tiny.yaml").startswith("exists: study tiny")


@pytest.mark.slow
def test_another_definition_under_the_same_name_is_refused(commands, finished):
    refused = commands.run("study", "create", "tiny.yaml", "optimizer.beta1=0.8", cwd=finished.folder)
    assert refused.code == 1
    assert refused.err.startswith("error: study create: a study named 'tiny' exists with another definition")
    assert "optimizer.beta1: 0.9 there, 0.8 here" in refused.err
    assert len(refused.err.splitlines()) == 1


def test_list(optdet):
    [row] = json.loads(optdet("study", "list", "--json"))
    counts = {key: row[key] for key in ("study", "finished", "trials", "failed", "running", "waiting")}
    assert counts == {"study": "tiny", "finished": 4, "trials": 4, "failed": 0, "running": 0, "waiting": 0}
    assert row["complete"] + row["pruned"] == 4
    assert row["pruned"] > 0
    assert "tiny" in optdet("study", "list")
    names = [row["study"] for row in json.loads(optdet("study", "list", "--all", "--json"))]
    assert names[0] == "tiny"
    assert all(name.startswith("tiny.t") for name in names[1:])
    assert len(names) > 1


def test_show(optdet):
    shown = json.loads(optdet("study", "show", "--json"))
    assert [trial["number"] for trial in shown["trials"]] == [0, 1, 2, 3]
    assert shown["workers"] == []
    assert shown["trials"][0]["params"]["optimizer.lr"] == 0.04  # queued, and outside its range
    best = max(
        (trial for trial in shown["trials"] if trial["state"] == "complete"), key=lambda trial: trial["value"]
    )
    assert shown["best"] == best["number"]
    assert optdet("study", "show", "tiny").startswith("tiny: 4 of 4 trials finished\n")


def test_best(optdet):
    best = json.loads(optdet("study", "best", "--json"))
    assert {"study", "number", "value", "hmean_crossfit", "params", "thresholds", "val"} <= set(best)
    assert best["value"] > 0
    assert best["value"] == best["scores"]["competition"]["macro"]["hmean"]
    names = {"thresh", "box_thresh", "unclip_ratio", "max_candidates", "use_polygon", "min_side"}
    assert set(best["thresholds"]) == names
    assert set(best["val"]) >= {"images", "labels"}
    assert f"value {best['value']:.6f}" in optdet("study", "best", "tiny")


def test_export(optdet, tmp_path):
    shown = json.loads(optdet("study", "show", "--json"))["trials"]
    optdet("study", "export", "--out", tmp_path / "trials.json")
    assert json.loads((tmp_path / "trials.json").read_text()) == shown
    optdet("study", "export", "--out", tmp_path / "trials.csv")
    assert (tmp_path / "trials.csv").read_text() == optdet("study", "export")
    rows = list(csv.DictReader(io.StringIO(optdet("study", "export"))))
    assert [float(row["value"]) for row in rows] == [trial["value"] for trial in shown]


@pytest.mark.parametrize("suffix", [".csv", ".json"])
@pytest.mark.parametrize("kind", ["study", "trial", "checkpoint"])
@pytest.mark.thin(2)
def test_predict_and_evaluate_give_the_value_to_the_last_digit(optdet, tmp_path, kind, suffix):
    best = json.loads(optdet("study", "best", "--json"))
    sources = {
        "study": "tiny",
        "trial": f"tiny:{best['number']}",
        "checkpoint": best["checkpoint"],
    }
    out = tmp_path / f"found{suffix}"
    optdet("predict", sources[kind], "--images", best["val"]["images"], "--out", out)
    scores = json.loads(optdet("evaluate", out, "--labels", best["val"]["labels"], "--json"))
    assert scores["competition"]["macro"]["hmean"] == best["value"]
    assert scores["official"] == best["scores"]["official"]
    assert scores["iou"] == best["scores"]["iou"]


@pytest.mark.slow
def test_maps_that_are_made_anew_give_the_same_score(commands, copied, tmp_path):
    """In a folder that was moved, without the cache: all that is needed is in the checkpoint."""
    shutil.rmtree(copied / "studies" / "cache")
    best = json.loads(commands.run("study", "best", "--json", cwd=copied).out)
    assert best["checkpoint"].startswith(str(copied))
    out = tmp_path / "found.csv"
    ran = commands.run("predict", "tiny", "--images", best["val"]["images"], "--out", out, cwd=copied)
    assert ran.code == 0, ran.err
    maps = list((copied / "studies" / "cache" / "maps").rglob("*.npy"))
    assert len(maps) == 5
    scored = commands.run("evaluate", out, "--labels", best["val"]["labels"], "--json", cwd=copied)
    assert json.loads(scored.out)["competition"]["macro"]["hmean"] == best["value"]


@pytest.mark.slow
def test_a_config_of_the_best_trial_trains_to_the_same_value(commands, finished, optdet, tmp_path):
    best = json.loads(optdet("study", "best", "--json"))
    config, storage = tmp_path / "best.yaml", tmp_path / "again" / "optdet.db"
    optdet("study", "best", "--write", config)
    trained = commands.run("train", config, "--storage", storage, cwd=finished.folder)
    assert trained.code == 0, trained.err
    again = json.loads(optdet("study", "best", "--json", "--storage", storage))
    same = ("value", "hmean_crossfit", "thresholds", "scores", "interval")
    assert {key: again[key] for key in same} == {key: best[key] for key in same}
    assert again["study"] == "best"


@pytest.mark.slow
def test_a_full_study_takes_more_trials_and_queued_ones_first(commands, copied):
    queued = commands.run("study", "enqueue", "tiny", "optimizer.lr=0.011", cwd=copied)
    said, hint = queued.out.splitlines()
    assert said == "queued in tiny: optimizer.lr=0.011"
    assert hint.endswith("run it with: optdet study run tiny --trials 5")
    ran = commands.run("study", "run", "tiny", "--trials", 5, cwd=copied)
    assert ran.code == 0, ran.err
    shown = json.loads(commands.run("study", "show", "tiny", "--json", cwd=copied).out)
    assert shown["finished"] == 5
    assert shown["trials"][4]["params"]["optimizer.lr"] == 0.011


@pytest.mark.slow
def test_smoke(commands, new_study):
    steps = ["data", "train", "validate", "tune", "predict", "time"]
    ran = commands.run("study", "run", "--smoke", cwd=new_study)
    assert ran.code == 0, ran.err
    assert [line.split()[0] for line in ran.out.splitlines()] == steps
    assert json.loads(commands.run("study", "show", "--json", cwd=new_study).out)["finished"] == 0
