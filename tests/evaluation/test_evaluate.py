"""Scores of a set of images."""

from __future__ import annotations

import numpy as np
import pytest

from optdet.evaluation.evaluate import evaluate, summarize
from optdet.evaluation.truth import ImageTruth
from optdet.structures import Word


def rectangle(x, y, width, height):
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float64)


LINES = [rectangle(10, y, 80, 20) for y in (10, 50, 90)]
WORDS = {
    "a.jpg": [Word(LINES[0], "one"), Word(LINES[1], "two")],
    "b.jpg": [Word(LINES[0], "three"), Word(LINES[2], "four", ignored=True)],
    "c.jpg": [Word(LINES[2], "five")],
}
PERFECT = {name: [word.polygon for word in words] for name, words in WORDS.items()}


def test_the_words_themselves_score_1():
    evaluation = evaluate(WORDS, PERFECT)
    for metric in evaluation.scores.as_json().values():
        for aggregate in metric.values():
            assert aggregate == {"precision": 1, "recall": 1, "hmean": 1}
    assert evaluation.interval() == (1, 1)
    assert evaluation.names == ("a.jpg", "b.jpg", "c.jpg")


def test_an_image_without_an_entry_has_no_detections_and_extra_ones_do_not_count():
    some = {"a.jpg": PERFECT["a.jpg"], "z.jpg": PERFECT["a.jpg"]}
    evaluation = evaluate(WORDS, some)
    assert evaluation.hmeans.tolist() == [1, 0, 0]
    assert evaluation.scores.competition.macro.hmean == pytest.approx(1 / 3)
    assert evaluation.scores.competition.global_.precision == 1
    assert evaluation.scores.competition.global_.recall < 1
    assert evaluation == evaluate(WORDS, {**some, "b.jpg": [], "c.jpg": []})


def test_rows_come_worst_first_then_by_name():
    rows = evaluate(WORDS, {"b.jpg": PERFECT["b.jpg"]}).image_rows()
    assert [(row["image"], row["hmean"]) for row in rows] == [("a.jpg", 0), ("c.jpg", 0), ("b.jpg", 1)]
    assert list(rows[0]) == ["image", "hmean", "precision", "recall", "official_hmean"]


def test_the_order_of_the_images_does_not_move_the_last_digit():
    rng = np.random.default_rng(0)
    counts = {}
    for index in range(30):
        words = [Word(rectangle(10, 30 * row + 5, rng.integers(20, 90), 16)) for row in range(6)]
        found = [word.polygon + rng.integers(-12, 12, 2) for word in words[: rng.integers(1, 7)]]
        counts[f"{index}.jpg"] = ImageTruth(words).counts(found)
    forwards = summarize(counts)
    assert len(set(forwards.hmeans.tolist())) > 5
    for _ in range(5):
        names = rng.permutation(list(counts)).tolist()
        shuffled = summarize({name: counts[name] for name in names})
        assert shuffled.scores == forwards.scores
        assert shuffled.interval() == forwards.interval()
        assert shuffled.image_rows() == forwards.image_rows()


def test_without_images_there_is_no_score():
    with pytest.raises(ValueError, match="no images to score"):
        evaluate({}, PERFECT)


def test_labels_and_predictions_stay():
    for polygons in PERFECT.values():
        for polygon in polygons:
            polygon.flags.writeable = False
    assert evaluate(WORDS, PERFECT) == evaluate(WORDS, PERFECT)
