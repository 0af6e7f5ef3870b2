"""``optdet study``: what its commands print, and the contracts of their JSON."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import shutil
import subprocess
import sys

import optuna
import pytest
import typer
import yaml

from optdet.cli.again import Given
from optdet.cli.study import _seconds

THRESHOLDS = {"thresh", "box_thresh", "unclip_ratio", "max_candidates", "use_polygon", "min_side"}


def read_json(ran):
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def test_without_a_file_it_is_the_quickstart_study(tmp_path, optdet):
    ran = optdet("study", "create")
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "created: study quickstart, 20 trials, in sqlite:///studies/optdet.db",
        "run it: optdet study run quickstart",
    ]
    assert ran.err == ""
    assert (tmp_path / "studies/optdet.db").exists()
    assert optdet("study", "create").out.startswith("exists: study quickstart")


def test_overrides_may_stand_without_a_file(tmp_path, optdet):
    assert optdet("study", "create", "trials=3", "train.epochs=2").out.startswith(
        "created: study quickstart, 3 "
    )


def test_a_name_and_a_storage_of_ones_own(tiny, optdet):
    ran = optdet("study", "create", "studies/tiny.yaml", "--name", "other", "--storage", "elsewhere/db")
    assert ran.out.splitlines() == [
        "created: study other, 2 trials, in sqlite:///elsewhere/db",
        "run it: optdet study run other --storage elsewhere/db",
    ]
    rows = read_json(optdet("study", "list", "--json", "--storage", "elsewhere/db"))
    assert [row["study"] for row in rows] == ["other"]


def test_run_says_what_happens_in_plain_lines_and_what_came_of_it(studied):
    _, ran = studied
    lines = ran.err.splitlines()
    assert lines[0] == "study tiny"
    assert "trial 0: optimizer.lr 0.005" in lines
    assert sum(line.startswith("trial 0 epoch ") for line in lines) == 2
    assert sum(" complete " in line for line in lines) == 2
    assert ran.out.startswith("tiny is full: 2 of 2 trials; for more: optdet study run tiny --trials 12\n")
    served = "optuna-dashboard sqlite:///studies/optdet.db --artifact-dir "
    assert f"look: optdet dashboard   or: {served}" in ran.out.splitlines()[-1]
    assert max(len(line) for line in ran.err.splitlines()) < 140


def test_running_a_full_study_changes_nothing(studied, optdet):
    folder, _ = studied
    before = optdet("study", "export", "tiny", cwd=folder).out
    ran = optdet("study", "run", cwd=folder)
    assert ran.code == 0
    assert "tiny is full: 2 of 2 trials" in ran.out
    assert "trial" not in ran.err
    assert optdet("study", "export", "tiny", cwd=folder).out == before


def test_no_time_left_is_no_trial_lost(tiny, optdet):
    optdet("study", "create", "studies/tiny.yaml")
    ran = optdet("study", "run", "--timeout", "0s")
    assert ran.code == 0
    assert "time is up: 0 of 2 trials; go on with: optdet study run tiny" in ran.out
    assert "no trial is complete yet" in ran.out
    assert read_json(optdet("study", "show", "--json"))["trials"][0]["state"] == "waiting"


@pytest.mark.parametrize(
    ("text", "seconds"), [("8h", 28800), ("90m", 5400), ("3600s", 3600), ("1.5h", 5400), ("7", 7)]
)
def test_times(text, seconds):
    assert _seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-1h", "1d", "1h30m", "nan"])
def test_what_is_no_time(text):
    with pytest.raises(typer.BadParameter, match="is not a time; write 8h"):
        _seconds(text)


def test_a_timeout_that_is_no_time_is_wrong_usage(optdet):
    ran = optdet("study", "run", "--timeout", "abc")
    assert ran.code == 2
    assert "is not a time" in ran.err


def test_the_line_that_goes_on_has_every_option_and_is_quoted(tiny, optdet):
    places = ("--storage", "my studies/a.db", "--root", "the root")
    created = optdet("study", "create", "studies/tiny.yaml", *places)
    assert created.out.splitlines()[1] == (
        "run it: optdet study run tiny --storage 'my studies/a.db' --root 'the root'"
    )
    more = ("--data-root", "my data", "--device", "cpu", "--timeout", "0s", "--trials", "3")
    ran = optdet("study", "run", "tiny", *places, *more)
    assert ran.code == 0, ran.err
    line = ran.out.splitlines()[0].split("go on with: ")[1]
    assert shlex.split(line) == ["optdet", "study", "run", "tiny", *places, *more]
    assert optdet(*shlex.split(line)[1:]).out == ran.out


def test_no_line_shows_a_password():
    for url in ("postgresql://me:secret@host/name", "postgresql://me@host/name?password=secret"):
        line = Given(storage=url).run_again("tiny")
        assert "secret" not in line
        assert "***" in line


def test_that_changed_data_are_accepted_is_passed_to_workers_and_not_advised():
    given = Given(accept_changed_data=True)
    assert given.run_words("tiny") == ["study", "run", "tiny", "--accept-changed-data"]
    assert given.run_again("tiny") == "optdet study run tiny"


@pytest.mark.slow
def test_smoke_goes_through_everything_and_leaves_no_trial(tiny, optdet):
    optdet("study", "create", "studies/tiny.yaml")
    ran = optdet("study", "run", "--smoke")
    assert ran.code == 0, ran.err
    heads = [line.split()[0] for line in ran.out.splitlines()]
    assert heads == ["data", "train", "validate", "tune", "predict", "time"]
    assert "for 2 trials" in ran.out
    tune, predict = (ran.out.splitlines()[number] for number in (3, 4))
    assert float(re.search(r"([0-9.]+) on maps like the targets", tune)[1]) > 0.5
    assert int(re.search(r"(\d+) on maps like the targets", predict)[1]) > 4
    shown = read_json(optdet("study", "show", "--json"))
    assert [row["state"] for row in shown["trials"]] == ["waiting"]
    assert not (tiny / "studies/runs").exists()
    assert not list((tiny / "studies").glob(".smoke-*"))


@pytest.mark.slow
def test_smoke_takes_the_device_and_the_trials_that_are_named(tiny, optdet):
    optdet("study", "create", "studies/tiny.yaml")
    assert "for 7 trials" in optdet("study", "run", "--smoke", "--trials", "7", "--device", "cpu").out
    assert "nonsense" in optdet("study", "run", "--smoke", "--device", "nonsense").error


def test_smoke_says_a_failure_in_one_line(tiny, optdet):
    overrides = ("optimizer.lr=1e30", "scheduler.warmup_epochs=1")  # of which the two updates take no notice
    assert optdet("study", "create", "configs/tiny.yaml", "--name", "nan", *overrides).code == 0
    assert (
        "study nan: the probability map of receipt_00000.jpg is not a number"
        in optdet("study", "run", "--smoke").error
    )


def test_list(studied, optdet):
    folder, _ = studied
    (row,) = read_json(optdet("study", "list", "--json", cwd=folder))
    assert row == {
        "study": "tiny",
        "finished": 2,
        "trials": 2,
        "complete": 2,
        "pruned": 0,
        "failed": 0,
        "running": 0,
        "waiting": 0,
        "best": row["best"],
    }
    table = optdet("study", "list", cwd=folder).out
    assert "tiny" in table
    assert "2/2" in table
    names = [row["study"] for row in read_json(optdet("study", "list", "--all", "--json", cwd=folder))]
    assert names == ["tiny", "tiny.t0000.postprocess", "tiny.t0001.postprocess"]


def test_show(studied, optdet):
    folder, _ = studied
    shown = read_json(optdet("study", "show", "tiny", "--json", cwd=folder))
    assert (shown["study"], shown["trials_wanted"], shown["finished"], shown["workers"]) == ("tiny", 2, 2, [])
    assert [row["number"] for row in shown["trials"]] == [0, 1]
    assert shown["trials"][0]["params"] == {"optimizer.lr": 0.005}
    assert all(set(row["thresholds"]) == THRESHOLDS for row in shown["trials"])
    table = optdet("study", "show", "tiny", cwd=folder)
    assert table.out.startswith("tiny: 2 of 2 trials finished\n")
    assert f"{shown['best']}*" in table.out
    assert "study tiny" in optdet("study", "show", cwd=folder).err  # a name that is left out is said


def test_show_what_trials_cost_by_size(studied, optdet):
    folder, _ = studied
    shown = read_json(optdet("study", "show", "tiny", "--json", cwd=folder))
    table = optdet("study", "show", "tiny", "--sizes", cwd=folder)
    assert table.code == 0, table.err
    lines = table.out.splitlines()
    assert lines[1].split()[:2] == ["trial", "lr"]
    assert [name for name in ("batch", "GB", "images/s", "H-mean") if name not in lines[1]] == []
    assert max(map(len, lines)) <= 100
    for row in shown["trials"]:
        [line] = [line for line in lines if line.split()[0] in (f"{row['number']}", f"{row['number']}*")]
        cells = line.split()
        assert cells[2:4] == [str(row["batch_size"]), f"{row['peak_memory_gb']:.1f}"]
        heights = [each["hmean"] for each in row["by_word_height"] if each["hmean"] is not None]
        expected = [row["scores"]["competition"]["macro"]["hmean"], *heights]
        assert cells[-len(expected) :] == [f"{score:.4f}" for score in expected]


def test_best_is_a_contract(studied, optdet):
    folder, _ = studied
    ran = optdet("study", "best", "--json", cwd=folder)
    best = read_json(ran)
    assert ran.err == ""
    assert {"study", "number", "value", "hmean_crossfit", "params", "thresholds", "val"} <= set(best)
    assert set(best["thresholds"]) == THRESHOLDS
    assert set(best["scores"]) == {"competition", "official", "iou"}
    for kinds in best["scores"].values():
        assert {kind: set(scores) for kind, scores in kinds.items()} == {
            kind: {"precision", "recall", "hmean"} for kind in ("macro", "global")
        }
    low, high = best["interval"]
    assert 0 <= low <= best["value"] <= high <= 1
    for path in (best["val"]["images"], best["val"]["labels"], best["checkpoint"]):
        assert (folder / path).exists()
    text = optdet("study", "best", cwd=folder).out
    assert text.startswith(f"tiny: trial {best['number']}, value {best['value']:.6f}\n")


@pytest.mark.slow
def test_best_written_is_a_config_that_trains_to_the_same_value(studied, optdet, tmp_path):
    folder, _ = studied
    best = read_json(optdet("study", "best", "--json", cwd=folder))
    written = tmp_path / "best.yaml"
    assert optdet("study", "best", "--write", written, cwd=folder).code == 0
    assert yaml.safe_load(written.read_text())["optimizer"]["lr"] == best["params"]["optimizer.lr"]
    assert "the file exists" in optdet("study", "best", "--write", written, cwd=folder).error
    assert optdet("train", written, "--name", "again").code == 0
    again = read_json(optdet("study", "best", "again", "--json"))
    assert (again["value"], again["thresholds"]) == (best["value"], best["thresholds"])


def test_enqueue(tiny, optdet):
    optdet("study", "create", "studies/tiny.yaml")
    assert (
        optdet("study", "enqueue", "tiny", "optimizer.lr=0.0025").out
        == "queued in tiny: optimizer.lr=0.0025\n"
    )
    trials = read_json(optdet("study", "show", "--json"))["trials"]
    assert [row["params"]["optimizer.lr"] for row in trials] == [0.005, 0.0025]
    assert (
        "not in the space of tiny; it varies optimizer.lr"
        in optdet("study", "enqueue", "tiny", "train.epochs=3").error
    )
    assert "optimizer.lr" in optdet("study", "enqueue", "tiny", "optimizer.lr=fast").error
    assert len(read_json(optdet("study", "show", "--json"))["trials"]) == 2
    outside = optdet("study", "enqueue", "tiny", "optimizer.lr=0.9")
    assert outside.code == 0
    assert outside.err == "outside of the study's space: optimizer.lr\n"


def test_a_trial_that_nobody_works_on_is_said(tiny, optdet):
    """As Ctrl-C, a timeout or a kill leaves it."""
    optdet("study", "create", "studies/tiny.yaml")
    assert "nobody works on" not in optdet("study", "show").out
    optuna.load_study(study_name="tiny", storage=f"sqlite:///{tiny}/studies/optdet.db").ask()
    shown = optdet("study", "show").out
    assert shown.splitlines()[-1] == "nobody works on trial 0: `optdet study run tiny` goes on"


@pytest.mark.slow
def test_enqueue_into_a_full_study_says_how_to_run_it(studied, optdet, tmp_path):
    folder = shutil.copytree(studied[0], tmp_path / "copy")
    first = optdet("study", "enqueue", "tiny", "optimizer.lr=0.003", cwd=folder).out.splitlines()
    assert first == [
        "queued in tiny: optimizer.lr=0.003",
        "its 2 trials leave no room for it; run it with: optdet study run tiny --trials 3",
    ]
    second = optdet("study", "enqueue", "tiny", "optimizer.lr=0.004", "--root", "studies", cwd=folder).out
    command = second.splitlines()[-1].partition("with: ")[2]
    assert command == "optdet study run tiny --root studies --trials 4"
    assert optdet(*shlex.split(command)[1:], cwd=folder).code == 0
    rows = read_json(optdet("study", "show", "tiny", "--json", cwd=folder))["trials"]
    assert [row["params"]["optimizer.lr"] for row in rows[2:]] == [0.003, 0.004]
    assert all(row["state"] == "complete" for row in rows)


@pytest.mark.parametrize("command", ["list", "show", "best", "export"])
@pytest.mark.thin(1)
def test_looking_loads_nothing_that_trains_draws_or_sweeps(studied, command):
    """People look often; these take seconds."""
    code = (
        "import sys\nfrom optdet.cli.app import main\n"
        f"sys.argv = ['optdet', 'study', {command!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'timm', 'numba', 'matplotlib', 'cv2', 'scipy', 'optuna_dashboard'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=studied[0], capture_output=True, text=True, check=True
    )
    assert ran.stderr.splitlines()[-1] == "[]"


def test_export(studied, optdet, tmp_path):
    folder, _ = studied
    shown = read_json(optdet("study", "show", "tiny", "--json", cwd=folder))["trials"]
    rows = list(csv.DictReader(io.StringIO(optdet("study", "export", "tiny", cwd=folder).out)))
    assert [float(row["value"]) for row in rows] == [row["value"] for row in shown]
    assert [float(row["param.optimizer.lr"]) for row in rows] == [
        row["params"]["optimizer.lr"] for row in shown
    ]
    assert float(rows[0]["competition.macro.hmean"]) == shown[0]["value"]
    out = tmp_path / "trials.json"
    ran = optdet("study", "export", "tiny", "--out", out, cwd=folder)
    assert (ran.code, ran.out) == (0, "")
    assert json.loads(out.read_text()) == shown
    assert (
        "use .csv or .json" in optdet("study", "export", "--out", tmp_path / "trials.txt", cwd=folder).error
    )


def test_the_storage_of_the_environment(studied, tmp_path, monkeypatch):
    """The variable is read by a program of its own, where nothing else has a say."""
    import subprocess
    import sys

    monkeypatch.setenv("OPTDET_STORAGE", str(studied[0] / "studies/optdet.db"))
    command = [sys.executable, "-m", "optdet", "study", "list", "--json"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert [row["study"] for row in json.loads(ran.stdout)] == ["tiny"]


@pytest.mark.parametrize("option", ["--trials", "--workers"])
def test_no_trials_and_no_workers_are_wrong_usage(option, optdet):
    ran = optdet("study", "run", option, "0")
    assert ran.code == 2
    assert option in ran.err
