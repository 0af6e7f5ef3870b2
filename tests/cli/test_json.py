"""``--json``: JSON alone on stdout, of the standard's own kind, also where a terminal shows progress."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from pseudo_terminal import run_script

from optdet.cli.tables import print_json

THRESHOLDS = {"thresh", "box_thresh", "unclip_ratio", "max_candidates", "use_polygon", "min_side"}


def strictly(text):
    def refused(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refused)


@pytest.fixture(scope="module")
def predicted(studied, run_in, tmp_path_factory):
    """A file with predictions of the study's validation images, and the option that names their labels."""
    folder, _ = studied
    optdet = run_in(folder)
    val = strictly(optdet("study", "best", "--json").out)["val"]
    file = tmp_path_factory.mktemp("predicted") / "가게.csv"
    ran = optdet("predict", "tiny", "--images", val["images"], "--out", file, "--no-score")
    assert ran.code == 0, ran.err
    return file, val["labels"]


def commands(predicted):
    file, labels = predicted
    tune = ("postprocess", "tune", "tiny", "--no-study", "-s", "method=random", "-s", "trials=2")
    return {
        "list": ("study", "list"),
        "show": ("study", "show"),
        "best": ("study", "best"),
        "evaluate": ("evaluate", str(file), "--labels", labels),
        "tune": tune,
        "submissions": ("submission", "list"),
        "cache": ("cache", "list"),
    }


def check(name, shown):
    if name == "list":
        assert [row["study"] for row in shown] == ["tiny"]
    elif name == "show":
        assert [row["number"] for row in shown["trials"]] == [0, 1]
    elif name == "best":
        assert set(shown["thresholds"]) == THRESHOLDS
    elif name == "evaluate":
        assert 0 <= shown["competition"]["macro"]["hmean"] <= 1
    elif name == "tune":
        entries = [shown[each] for each in ("default", "current", "best", "robust")]
        assert all(set(entry["thresholds"]) == THRESHOLDS for entry in entries)


@pytest.mark.parametrize("name", ["list", "show", "best", "evaluate", "tune", "submissions", "cache"])
def test_stdout_is_json_alone(name, studied, predicted, run_in):
    ran = run_in(studied[0])(*commands(predicted)[name], "--json")
    assert ran.code == 0, ran.err
    check(name, strictly(ran.out))


@pytest.mark.parametrize("name", ["tune"])
def test_with_progress_on_a_terminal_too(name, studied, predicted, tmp_path, monkeypatch):
    monkeypatch.chdir(studied[0])
    script = "from optdet.cli.app import main; main()"
    with Path(tmp_path / "out.json").open("wb") as out:
        written, code = run_script(script, *commands(predicted)[name], "--json", stdout=out.fileno())
    assert code == 0, written
    assert "tuning" in written
    check(name, strictly((tmp_path / "out.json").read_text()))


def test_what_is_no_number_is_null(capsys):
    print_json({"a": [math.nan, 1.5, {"b": math.inf}], "c": (-math.inf, None, True, "가"), "d": 3})
    out = capsys.readouterr().out
    assert strictly(out) == {"a": [None, 1.5, {"b": None}], "c": [None, None, True, "가"], "d": 3}
    assert "가" in out
