"""``optdet analyze``: on prediction files and on a study, as tables, JSON, CSV and plots."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from optdet.cli.analyze_tables import report_hint
from optdet.data.labels import write_ufo
from optdet.data.predictions import write_predictions
from optdet.structures import SubmissionSource, Word
from optdet.tuning.side import Side


def quad(x, y, width=60, height=12):
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], dtype=np.float64)


BOTH = [quad(10, 10), quad(10, 40)]


@pytest.fixture
def files(tmp_path):
    """Three images of two words: all found; one missed and a false detection; two words split."""
    write_ufo(
        tmp_path / "labels.json", {f"{name}.jpg": [Word(polygon) for polygon in BOTH] for name in "abc"}
    )
    halves = [quad(x, y, width=30) for y in (10, 40) for x in (10, 40)]
    write_predictions(
        tmp_path / "found.csv", {"a.jpg": BOTH, "b.jpg": [BOTH[0], quad(10, 80)], "c.jpg": halves}
    )
    for name in "abc":
        Image.new("RGB", (100, 200)).save(tmp_path / f"{name}.jpg")
    return tmp_path


def shown(ran):
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


@pytest.mark.parametrize("labels", ["labels.json", "x.json"])
def test_a_prediction_file_that_is_missing_is_named_before_its_labels(files, optdet, labels):
    error = optdet("analyze", "gone.csv", "--labels", labels).error
    where = f"check the path, which begins in {files}"
    assert error == f"error: gone.csv: the prediction file does not exist; {where}"
    error = optdet("analyze", "fuond.csv", "--labels", labels).error
    assert error.endswith(f"did you mean {files / 'found.csv'}?")


def test_json_of_a_prediction_file(files, optdet):
    report = shown(optdet("analyze", "found.csv", "--labels", "labels.json", "--json"))
    assert (report["source"], report["thresholds"], report["images"]) == ("found.csv", None, 3)
    numbers = {kind["kind"]: (kind["number"], kind["images"]) for kind in renamed(report["kinds"])}
    assert numbers == {
        "miss": (1, 1),
        "split": (2, 1),
        "false_positive": (1, 1),
        "partial": (0, 0),
        "merge": (0, 0),
        "overlap": (0, 0),
    }
    assert report["repaired"] == 1
    assert [image["main"] for image in report["per_image"]] == [None, "miss", "split"]
    assert "position" not in [each["property"] for each in report["properties"]]
    evaluated = shown(optdet("evaluate", "found.csv", "--labels", "labels.json", "--json"))
    assert report["hmean"] == evaluated["competition"]["macro"]["hmean"]
    official = shown(
        optdet("analyze", "found.csv", "--labels", "labels.json", "--profile", "official", "--json")
    )
    assert official["hmean"] == evaluated["official"]["macro"]["hmean"]


def renamed(kinds):
    return [{**kind, "images": kind["n_images"]} for kind in kinds]


def test_the_tables_fit_80_columns(files, optdet):
    out = optdet("analyze", "found.csv", "--labels", "labels.json", "--images", ".").out
    assert max(map(len, out.splitlines())) <= 80
    for text in (
        "3 images, 6 words, 8 detections",
        "costs  95 % interval",
        "split words",
        "all of them",
        "position in the image",
        "nothing: top right",
        "worst images",
    ):
        assert text in out
    assert out.index("b.jpg: missed words") < out.index("c.jpg: split words")
    assert "optdet report" not in out  # there is no study to make it of


def test_out_leaves_a_row_a_word_and_a_detection_and_plots(files, optdet):
    ran = optdet("analyze", "found.csv", "--labels", "labels.json", "--images", ".", "--out", "errors")
    assert ran.code == 0, ran.err
    with (files / "errors/words.csv").open(newline="", encoding="utf-8") as file:
        words = list(csv.DictReader(file))
    with (files / "errors/detections.csv").open(newline="", encoding="utf-8") as file:
        detections = list(csv.DictReader(file))
    assert [row["kind"] for row in words] == ["hit", "hit", "hit", "miss", "split", "split"]
    assert [row["kind"] for row in detections] == ["hit"] * 3 + ["false_positive"] + ["split"] * 4
    assert words[4]["detections"] == "0 1"
    assert (words[0]["height"], words[0]["canvas_height"], words[0]["border"]) == ("12", "", "0.833333")
    assert words[0]["polygon"] == "10 10 70 10 70 22 10 22"
    assert int(detections[3]["false"]) > 0
    tables = {}
    for name in ("kinds", "buckets", "images"):
        with (files / f"errors/{name}.csv").open(newline="", encoding="utf-8") as file:
            tables[name] = list(csv.DictReader(file))
    said = shown(optdet("analyze", "found.csv", "--labels", "labels.json", "--images", ".", "--json"))
    for row, kind in zip(tables["kinds"], said["kinds"], strict=True):
        assert row["kind"] == kind["kind"]
        assert (int(row["number"]), int(row["images"])) == (kind["number"], kind["n_images"])
        assert [float(row[name]) for name in ("cost", "cost_low", "cost_high")] == [
            kind["cost"],
            *kind["interval"],
        ]
    buckets = [(each["property"], bucket) for each in said["properties"] for bucket in each["buckets"]]
    for row, (name, bucket) in zip(tables["buckets"], buckets, strict=True):
        assert (row["property"], row["bucket"], int(row["words"])) == (
            name,
            bucket["label"],
            bucket["n_words"],
        )
        assert row["recall"] == ("" if bucket["recall"]["value"] is None else str(bucket["recall"]["value"]))
        assert row["detections"] == ("" if bucket["false"] is None else str(bucket["false"]["whole"]))
    for row, image in zip(tables["images"], said["per_image"], strict=True):
        assert (row["image"], float(row["hmean"]), row["main"]) == (
            image["image"],
            image["hmean"],
            image["main"] or "",
        )
        assert {kind: int(row[kind]) for kind in image["characters"]} == image["characters"]
    for name in ("kinds.png", "buckets.png"):
        with Image.open(files / "errors" / name) as picture:
            assert picture.width >= 1000
    assert "errors/words.csv: 6 words" in ran.err


def test_what_counts_for_nothing_has_a_row_without_measures(files, optdet):
    ignored, word = Word(BOTH[0], "###", ignored=True), Word(quad(10, 40, height=20), "ab")
    write_ufo(files / "ignored.json", {"a.jpg": [ignored, word]})
    ran = optdet(
        *("analyze", "found.csv", "--labels", "ignored.json", "--profile", "official", "--out", "errors")
    )
    assert ran.code == 0, ran.err
    with (files / "errors/words.csv").open(newline="", encoding="utf-8") as file:
        rows = [(row["kind"], row["height"], row["text"]) for row in csv.DictReader(file)]
    assert rows == [("ignored", "", "###"), ("hit", "20", "ab")]
    with (files / "errors/detections.csv").open(newline="", encoding="utf-8") as file:
        assert [(row["kind"], row["height"]) for row in csv.DictReader(file)] == [
            ("ignored", ""),
            ("hit", "12"),
        ]


def test_a_word_under_a_detection_that_is_too_large_is_said(files, optdet):
    write_predictions(files / "large.csv", {"a.jpg": [quad(0, 0, 150, 36), BOTH[1]]})
    out = optdet("analyze", "large.csv", "--labels", "labels.json").out
    assert "1 missed word under 1 false detection (too large, or mostly beside)" in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["found.csv"], "its labels are not known"),
        (["found.csv", "--labels", "labels.json", "--profile", "iou"], "'iou' is no profile"),
        (["found.csv", "--labels", "labels.json", "--threshold", "thresh=0.3"], "no thresholds to replace"),
        (
            ["found.csv", "--labels", "labels.json", "--out", "labels.json"],
            "a file, where a folder is wanted",
        ),
        (["found.csv", "--images", "."], "analyze: --images without --labels"),
        (["nowhere.csv", "--labels", "labels.json"], "nowhere.csv"),
    ],
)
def test_what_cannot_be_done_is_one_line(files, optdet, arguments, said):
    ran = optdet("analyze", *arguments)
    assert ran.code == 1
    assert ran.err.startswith("error: ")
    assert len(ran.err.splitlines()) == 1
    assert said in ran.err
    assert not ran.out


def test_a_study_is_analysed_at_its_own_thresholds_and_at_others(studied, run_in):
    optdet = run_in(studied[0])
    best = shown(optdet("study", "best", "--json"))
    report = shown(optdet("analyze", best["study"], "--json"))
    assert report["hmean"] == best["value"]
    assert report["thresholds"] == best["thresholds"]
    assert {"canvas_height", "position"} <= {each["property"] for each in report["properties"]}
    other = shown(optdet("analyze", best["study"], "--threshold", "box_thresh=0.99", "--json"))
    assert other["thresholds"]["box_thresh"] == 0.99
    tables = optdet("analyze", best["study"]).out
    assert f"optdet report {best['study']} --out report.html" in tables
    # A report is at the study's own thresholds.
    assert "optdet report" not in optdet("analyze", best["study"], "-t", "box_thresh=0.5").out


def test_out_of_fold_no_report_is_offered(capsys):
    def hinted(source):
        report_hint(Side("", {}, origins=(SubmissionSource(source, "uuid"),)), storage=None, root=None)
        return capsys.readouterr().out

    assert hinted("tiny:1") == "look at them: optdet report tiny --out report.html\n"
    assert hinted("tiny:oof") == ""


def test_a_prediction_file_needs_neither_torch_nor_optuna(files):
    arguments = ["analyze", str(files / "found.csv"), "--labels", str(files / "labels.json")]
    code = (
        "import sys\nfrom optdet.cli.app import app\n"
        f"sys.argv = ['optdet', *{arguments!r}]\n"
        "try:\n    app()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print([name for name in ('torch', 'optuna', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
