"""``optdet report`` of a real study: what it holds, what it says where something is gone."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shutil
from collections import Counter

import pytest
from optuna.artifacts import get_all_artifact_meta

from optdet.evaluation.error_costs import KIND_TEXTS, counted_kind
from optdet.store.engine import close_storage
from optdet.tuning.study import load_study, open_database


def data_of(path):
    text = path.read_text()

    def unpacked(name):
        packed = re.search(rf'id="{name}">([^<]*)</script>', text)[1]
        return json.loads(gzip.decompress(base64.b64decode(packed)))

    return {**unpacked("data"), "images": unpacked("image-data")}


@pytest.fixture(scope="module")
def reported(studied, run_in, tmp_path_factory):
    """A copy of the studied folder with its report."""
    folder = tmp_path_factory.mktemp("reported") / "copy"
    shutil.copytree(studied[0], folder)
    ran = run_in(folder)("report", "tiny", "--out", "out/tiny.html", "--images", "4")
    assert ran.code == 0, ran.err
    return folder, ran


def test_the_report_has_the_trials_the_sweep_and_the_images(reported, run_in):
    folder, ran = reported
    assert re.search(r"wrote out/tiny.html: .* MB, 4 images", ran.out)
    data = data_of(folder / "out" / "tiny.html")
    best = json.loads(run_in(folder)("study", "best", "tiny", "--json").out)
    assert max(data["trials"]["value"]) == pytest.approx(best["value"], abs=1e-6)
    assert data["axes"][0]["name"] == "optimizer.lr"
    assert {each["title"] for each in data["sweeps"]} <= {"quads", "polygons"}
    assert sum(each["in_use"] for each in data["sweeps"]) == 1
    shown = {image["name"]: image["now"]["hmean"] for image in data["images"]}
    assert sum(shown.values()) / 4 == pytest.approx(best["value"], abs=1e-5), "all four images are shown"
    assert data["before"].startswith("tiny:"), "beside the second best trial"
    text = (folder / "out" / "tiny.html").read_text()
    assert f"{best['value']:.4f}" in text
    assert f"optdet predict tiny:{best['number']} --images" in text
    for part in ("progress", "search", "thresholds", "errors", "images", "trials", "environment"):
        assert f'<section id="{part}">' in text


def test_the_commands_on_the_page_give_the_score_again(reported, run_in):
    folder, _ = reported
    text = (folder / "out" / "tiny.html").read_text()
    predict, evaluate = re.search(r"<code>(optdet predict.*\n.*)</code>", text)[1].splitlines()
    assert run_in(folder)(*predict.split()[1:]).code == 0
    scores = json.loads(run_in(folder)(*evaluate.split()[1:], "--json").out)
    best = json.loads(run_in(folder)("study", "best", "tiny", "--json").out)
    assert scores["competition"]["macro"]["hmean"] == best["value"]


def test_the_study_keeps_one_report_the_newest(reported, run_in):
    folder, _ = reported

    def kept():
        database = open_database(str(folder / "studies" / "optdet.db"))
        study = load_study(database, "tiny")
        metas = get_all_artifact_meta(study.study, storage=database.storage)
        files = [
            folder / "studies" / "artifacts" / m.artifact_id for m in metas if m.filename == "report.html"
        ]
        close_storage(database.storage)
        return [file.read_bytes() for file in files]

    assert kept() == [(folder / "out" / "tiny.html").read_bytes()]
    assert run_in(folder)("report", "tiny", "--out", "second.html", "--images", "0").code == 0
    assert kept() == [(folder / "second.html").read_bytes()]


def test_without_images_the_rest_is_there(reported, run_in):
    folder, _ = reported
    ran = run_in(folder)("report", "tiny", "--out", "none.html", "--images", "0", "--no-attach")
    assert ran.code == 0
    assert "--images 0" in ran.err
    assert data_of(folder / "none.html")["images"] == []


def test_where_weights_and_maps_are_gone_the_rest_is_there_and_the_page_says_why(studied, run_in, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(studied[0], folder)
    for part in ("runs", "cache"):
        shutil.rmtree(folder / "studies" / part)
    ran = run_in(folder)("report", "tiny", "--out", "gone.html", "--no-attach")
    assert ran.code == 0, ran.err
    assert "note: not shown: " in ran.err
    assert "not shown: " in (folder / "gone.html").read_text()
    assert len(data_of(folder / "gone.html")["trials"]["number"]) == 2


def test_what_cannot_be_opened_or_written_is_said_before_any_work(reported, run_in):
    folder, _ = reported
    run = run_in(folder)
    assert "no study named 'other'" in run("report", "tiny", "--against", "other").error
    assert "no study named 'missing'" in run("report", "missing").error
    assert "no such file" in run("report", "tiny", "--playbook", "none.yaml").error.lower()
    of_trial = run("report", "tiny:1").error
    assert "tiny:1: a report is of a whole study, not of one trial; optdet report tiny" in of_trial
    assert of_trial.endswith("add --against tiny:1")
    (folder / "errors").mkdir()
    said = run("report", "tiny", "--out", "errors")
    assert said.error == "error: --out errors: is a folder; name a file, such as errors/report.html"
    assert said.err.count("\n") == 1, "nothing was done before"
    (folder / "file").write_text("")
    assert "a file, where a folder is wanted" in run("report", "tiny", "--out", "file/r.html").error
    assert not (folder / "report.html").exists()


def test_a_study_without_a_complete_trial_has_a_report(tiny, optdet):
    assert optdet("study", "create", "studies/tiny.yaml").code == 0
    ran = optdet("report", "--no-attach")
    assert ran.code == 0, ran.err
    assert "no trial is complete yet" in ran.err
    assert "No trial is complete yet." in (tiny / "report.html").read_text()


def test_the_commands_name_the_storage_that_was_given(reported, run_in, tmp_path):
    folder, _ = reported
    storage = str(folder / "studies" / "optdet.db")
    ran = run_in(tmp_path)("report", "tiny", "--storage", storage, "--images", "0", "--no-attach")
    assert ran.code == 0, ran.err
    assert f"--out predictions.csv --storage {storage}" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--device", "frog"), "'frog'"),
        (("--device", "cuda:97"), "cuda"),
        (("--against", "studies"), "studies"),
    ],
)
def test_what_was_asked_for_and_cannot_be_had_writes_nothing(reported, run_in, tmp_path, options, said):
    folder, _ = reported
    out = tmp_path / "report.html"
    out.write_text("the former one")
    assert said in run_in(folder)("report", "tiny", "--out", out, *options).error
    assert out.read_text() == "the former one"


def test_it_is_compared_with_a_prediction_file(reported, run_in):
    folder, _ = reported
    run = run_in(folder)
    best = json.loads(run("study", "best", "tiny", "--json").out)
    assert run("predict", "tiny", "--images", best["val"]["images"], "--out", "same.csv").code == 0
    assert run("report", "tiny", "--against", "same.csv", "--out", "f.html", "--no-attach").code == 0
    data = data_of(folder / "f.html")
    assert data["before"] == "same.csv"
    assert all(image["before"]["hmean"] == image["now"]["hmean"] for image in data["images"])
    (folder / "cut.csv").write_text("filename,polygons\n")
    assert "no prediction for" in run("report", "tiny", "--against", "cut.csv", "--no-attach").error


def test_captions_count_as_the_table_does(reported):
    data = data_of(reported[0] / "out" / "tiny.html")
    total = {kind["text"]: kind["number"] for kind in data["costs"] if kind["number"]}
    counted = Counter()
    for image in data["images"]:
        for line in image["now"]["errors"]:
            number = int(line.partition(" ")[0])
            (kind,) = (kind for kind in KIND_TEXTS if line == counted_kind(number, kind))
            counted[KIND_TEXTS[kind]] += number
    assert counted == total
