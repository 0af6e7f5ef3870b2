"""``optdet evaluate``, and that a score survives its file to the last digit."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from optdet.cli.app import app
from optdet.data.labels import read_labels, write_ufo
from optdet.data.predictions import write_predictions
from optdet.errors import OptdetError
from optdet.evaluation.evaluate import evaluate
from optdet.structures import Word


def quad(x, y, width, height, dtype=np.float64):
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], dtype=dtype)


def invoke(*arguments):
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result


@pytest.fixture
def labels(tmp_path):
    """Two images of two words each; the detections of one are exact, those of the other miss one word."""
    words = {
        "a.jpg": [Word(quad(10, 10, 60, 12), "total"), Word(quad(10, 40, 30, 12), "cash")],
        "b.jpg": [Word(quad(10, 10, 60, 12), "receipt"), Word(quad(10, 40, 30, 12), "date")],
    }
    write_ufo(tmp_path / "labels.json", words)
    return tmp_path / "labels.json"


def predict(path, **found):
    write_predictions(path, {f"{name}.jpg": polygons for name, polygons in found.items()})
    return path


BOTH = (quad(10, 10, 60, 12), quad(10, 40, 30, 12))


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_the_score_of_a_file_is_that_of_the_detections_to_the_last_digit(tmp_path, suffix):
    random = np.random.default_rng(0)
    words, found = {}, {}
    for index in range(6):
        places = [(20 + 130 * (n % 3), 20 + 40 * (n // 3)) for n in range(12)]
        quads = [quad(x, y, *random.uniform((60, 14), (110, 26))) for x, y in places]
        texts = ["total" if n % 2 else None for n in range(12)]
        words[f"{index}.jpg"] = [
            Word(q, text, bool(n == 5)) for n, (q, text) in enumerate(zip(quads, texts, strict=True))
        ]
        # As post-processing gives them: int32, shifted, some missing, some of more points.
        moved = [np.round(q + random.uniform(-6, 6, (4, 2))).astype(np.int32) for q in quads[index:]]
        found[f"{index}.jpg"] = [*moved, np.array([[1, 1], [9, 2], [12, 7], [6, 12], [2, 9]], np.int32)]
    write_ufo(tmp_path / "labels.json", words)
    write_predictions(tmp_path / f"found{suffix}", found)
    in_memory = evaluate(read_labels(tmp_path / "labels.json").words, found)
    result = invoke(tmp_path / f"found{suffix}", "--labels", tmp_path / "labels.json", "--json")
    scores = json.loads(result.stdout)
    assert {key: scores[key] for key in ("competition", "official", "iou")} == in_memory.scores.as_json()
    assert scores["interval"] == list(in_memory.interval())
    assert 0.5 < scores["competition"]["macro"]["hmean"] < 0.95


def test_json_is_a_scores_object_with_counts_beside_it(labels, tmp_path):
    file = predict(tmp_path / "p.csv", a=BOTH, b=BOTH)
    scores = json.loads(invoke(file, "--labels", labels, "--json").stdout)
    assert set(scores) == {"competition", "official", "iou", "interval", "images", "missing", "extra"}
    perfect = {"precision": 1.0, "recall": 1.0, "hmean": 1.0}
    for metric in ("competition", "official", "iou"):
        assert scores[metric] == {"macro": perfect, "global": perfect}
    assert (scores["interval"], scores["images"], scores["missing"], scores["extra"]) == ([1.0, 1.0], 2, 0, 0)


def test_missing_counts_as_empty_and_extra_is_left_out_and_both_are_said(labels, tmp_path):
    file = predict(tmp_path / "p.csv", a=BOTH, z=BOTH)
    result = invoke(file, "--labels", labels, "--json")
    scores = json.loads(result.stdout)
    assert (scores["images"], scores["missing"], scores["extra"]) == (2, 1, 1)
    assert scores["competition"]["macro"]["hmean"] == 0.5
    assert "1 image without a prediction, scored as empty: b.jpg" in result.stderr
    assert "1 image predicted but not labelled, left out: z.jpg" in result.stderr


def test_the_table_the_worst_images_and_the_file_of_each_image(labels, tmp_path):
    file = predict(tmp_path / "p.csv", a=BOTH, b=BOTH[:1])
    out = tmp_path / "scores.csv"
    result = invoke(file, "--labels", labels, "--per-image", out, "--worst", 1)
    for text in ("CLEval, competition", "CLEval, official", "IoU@0.5", "macro", "global", "95 % interval"):
        assert text in result.stdout
    listed = result.stdout.partition("worst images")[2]
    assert "b.jpg" in listed
    assert "a.jpg" not in listed
    with out.open() as rows:
        table = list(csv.DictReader(rows))
    assert [row["image"] for row in table] == ["b.jpg", "a.jpg"]
    assert float(table[1]["hmean"]) == 1.0
    assert 0 < float(table[0]["recall"]) < 1


def test_names_match_across_unicode_forms_folders_and_icdar_stems(tmp_path):
    name = "가게.jpg"
    gt = tmp_path / "gt"
    gt.mkdir()
    (gt / f"gt_{unicodedata.normalize('NFD', '가게')}.txt").write_text("10,10,70,10,70,22,10,22,total\n")
    for spelling in (unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name), f"val/{name}"):
        write_predictions(tmp_path / "p.csv", {spelling: [quad(10, 10, 60, 12)]})
        scores = json.loads(invoke(tmp_path / "p.csv", "--labels", gt, "--json").stdout)
        assert (scores["competition"]["macro"]["hmean"], scores["extra"]) == (1.0, 0)


def test_with_images_absent_ones_are_left_out_and_faults_are_said(labels, tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (80, 60)).save(tmp_path / "images" / "a.jpg")
    file = predict(tmp_path / "p.csv", a=[*BOTH, quad(70, 10, 30, 12)])
    result = invoke(file, "--labels", labels, "--images", tmp_path / "images", "--json")
    scores = json.loads(result.stdout)
    assert (scores["images"], scores["missing"]) == (1, 0)
    assert "1 labelled image not in" in result.stderr
    assert "outside the image of 80x60" in result.stderr


def test_what_cannot_be_scored_is_refused(labels, tmp_path):
    def refused(match, *files):
        with pytest.raises(OptdetError, match=match):
            invoke(files[0], "--labels", files[1] if len(files) > 1 else labels)

    refused(r"none of its 1 images is labelled", predict(tmp_path / "other.csv", z=BOTH))
    write_predictions(tmp_path / "twice.csv", {"x/a.jpg": BOTH, "y/a.jpg": BOTH})
    refused(r"x/a.jpg and y/a.jpg could both be the labelled image a.jpg", tmp_path / "twice.csv")
    (tmp_path / "two.csv").write_text("filename,polygons\na.jpg,1 1 9 9\n")
    refused(r"two.csv: polygon 1 of a.jpg has 2 points", tmp_path / "two.csv")
    refused(r"the prediction file does not exist", tmp_path / "none.csv")
    write_ufo(tmp_path / "test.json", {"a.jpg": []})
    refused(r"no readable words in 1 images", predict(tmp_path / "p.csv", a=BOTH), tmp_path / "test.json")


def test_an_exact_name_comes_before_a_similar_one(labels, tmp_path):
    write_predictions(tmp_path / "p.csv", {"x/a.jpg": [], "a.jpg": BOTH, "b.jpg": BOTH})
    scores = json.loads(invoke(tmp_path / "p.csv", "--labels", labels, "--json").stdout)
    assert (scores["competition"]["macro"]["hmean"], scores["extra"]) == (1.0, 1)


def test_scoring_imports_neither_torch_nor_optuna(labels, tmp_path):
    file = predict(tmp_path / "p.csv", a=BOTH)
    code = (
        "import sys\nfrom optdet.cli.app import app\n"
        f"sys.argv = ['optdet', 'evaluate', {str(file)!r}, '--labels', {str(labels)!r}]\n"
        "try:\n    app()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print([name for name in ('torch', 'optuna', 'albumentations', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_name_that_two_folders_have_is_refused(tmp_path):
    """It was left out as an image without labels, and both labelled images counted as empty."""
    words = [Word(quad(10, 10, 60, 12))]
    write_ufo(tmp_path / "nested.json", {"x/a.jpg": words, "y/a.jpg": words, "b.jpg": words})
    predicted = predict(tmp_path / "flat.csv", a=BOTH[:1], b=BOTH[:1])
    arguments = ["evaluate", str(predicted), "--labels", str(tmp_path / "nested.json")]
    with pytest.raises(
        OptdetError, match=r"a.jpg could be the labelled image x/a.jpg or y/a.jpg; name images"
    ):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
