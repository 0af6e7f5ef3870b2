"""Trained detectors as one, by the real commands: to the last digit what predicting and evaluating gives."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from optdet.cli.app import app
from optdet.data.predictions import read_predictions

pytestmark = pytest.mark.slow

SMALL = [
    word
    for setting in (
        "space.thresh={type: float, low: 0.1, high: 0.5, step: 0.1}",
        "space.box_thresh={type: float, low: 0.1, high: 0.6, step: 0.1}",
        "space.unclip_ratio={type: float, low: 1.0, high: 2.5, step: 0.5}",
    )
    for word in ("-s", setting)
]


@pytest.fixture
def optdet(finished, tmp_path, monkeypatch):
    """A command in a copy of the finished study's folder; its output."""
    folder = tmp_path / "project"
    shutil.copytree(finished.folder, folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("OPTDET_STORAGE", raising=False)

    def run(*words, stream="stdout"):
        result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
        assert result.exit_code == 0, result.stderr
        return getattr(result, stream)

    return run


def test_trials_and_their_views(optdet):
    """Each trial, seen in the mirror too, is two members; the study's validation images judge."""
    best = json.loads(optdet("study", "best", "tiny", "--json"))
    number, val = best["number"], best["val"]
    other = "tiny:1" if number == 0 else "tiny:0"
    words = (other, "tiny", "--method", "maps", "--tta", "hflip", "--quads", *SMALL)
    report = json.loads(optdet("ensemble", *words, "--json", "--save", "e.yaml"))
    assert [member["view"] for member in report["members"]] == [None, "hflip"] * 2
    assert report["members"][2]["source"] == f"tiny:{number}"
    assert [member["trained_on"] for member in report["members"]] == [0] * 4
    assert report["images"] == 5
    optdet("predict", "e.yaml", "--images", val["images"], "--out", "val.csv")
    rows = json.loads(optdet("submission", "list", "--json"))["submissions"]
    (row,) = (row for row in rows if row["path"].endswith("val.csv"))
    assert row["sources"] == ["../e.yaml", other, f"tiny:{number}"]
    assert row["local"]["hmean_crossfit"] == report["ensemble"]["hmean_crossfit"] is not None
    scored = json.loads(optdet("evaluate", "val.csv", "--labels", val["labels"], "--json"))
    assert scored["competition"] == report["ensemble"]["competition"]
    again = json.loads(optdet("compare", "e.yaml", "val.csv", "--json"))  # on the studies' own images
    macro = again["competition"]["macro"]["hmean"]
    assert macro["a"] == macro["b"] == scored["competition"]["macro"]["hmean"]
    optdet("predict", "tiny", "--images", val["images"], "--out", "seen.csv", "--tta", "scale:160,hflip")
    kept = [entry for entry in json.loads(optdet("cache", "list", "--json")) if entry["kind"] == "maps"]
    views = {(entry["source"], entry["preprocessing"].get("view")) for entry in kept}
    assert {(member["source"], member["view"]) for member in report["members"]} <= views
    assert (f"tiny:{number}", "scale:160") in views


def test_a_team_mates_file_of_the_test_images(optdet):
    """It names none of the validation images: the vote is the usual one, of members as they are in use."""
    val = json.loads(optdet("study", "best", "tiny", "--json"))["val"]
    Path("test").mkdir()
    for number, image in enumerate(sorted(Path(val["images"]).iterdir())[:2]):
        shutil.copy(image, f"test/t{number}{image.suffix}")
    optdet("predict", "tiny:0", "--images", "test", "--out", "theirs.csv")
    words = ("ensemble", "tiny:1", "tiny:0", "theirs.csv", "--method", "votes", "--save", "e.yaml")
    said = optdet(*words, "--test-images", "test", "--out", "v.csv", stream="stderr")
    assert "note: theirs.csv names none of the labelled images, so nothing is tuned or scored" in said
    assert Path("e.yaml").read_text().startswith("# theirs.csv names none of the labelled images, so nothing")
    assert read_predictions(Path("v.csv")).keys() == {"t0.jpg", "t1.jpg"}
    optdet("predict", "e.yaml", "--images", "test", "--out", "again.csv", "--no-score")
    assert Path("again.csv").read_bytes() == Path("v.csv").read_bytes()


def test_members_that_learnt_what_they_are_judged_by(optdet):
    """Said in one line, and counted: on its training images a detector is no witness. And the maps of views
    go with their study."""
    val = json.loads(optdet("study", "best", "tiny", "--json"))["val"]
    images, labels = (val[name].replace("/val/", "/train/") for name in ("images", "labels"))
    words = ("tiny:0", "tiny:1", "--method", "votes", "--tta", "hflip", "-s", "method=none")
    report = json.loads(optdet("ensemble", *words, "--images", images, "--labels", labels, "--json"))
    assert [member["trained_on"] for member in report["members"]] == [10] * 4
    said = "tiny:0 was trained on 10 of the 10 images: its scores, and the ensemble's, are not out of sample"
    assert report["notes"] == [said, said.replace("tiny:0", "tiny:1")]
    kept = json.loads(optdet("cache", "list", "--json"))
    assert sum("view" in (entry["preprocessing"] or {}) for entry in kept) == 2
    optdet("study", "delete", "tiny", "--yes")
    assert [entry for entry in json.loads(optdet("cache", "list", "--json")) if entry["kind"] == "maps"] == []
