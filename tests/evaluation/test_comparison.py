"""Two sets of detections compared: what every number is, on cases that can be worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from optdet.evaluation.comparison import compare
from optdet.evaluation.evaluate import evaluate
from optdet.structures import Word


def quad(x, y, width, height):
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], dtype=np.float64)


def row_of_words(n, height=20, width=80):
    return [Word(quad(10 + 100 * i, 10, width, height)) for i in range(n)]


def boxes(words):
    return [word.polygon for word in words]


def some(seed, n_images=12):
    """Words, and detections of them that were moved and lost at random."""
    random = np.random.default_rng(seed)
    words = {f"{i}.jpg": row_of_words(int(random.integers(1, 9)), 10 + 3 * i) for i in range(n_images)}

    def found():
        return {
            name: [word.polygon + random.uniform(-4, 4, (4, 2)) for word in row if random.random() < 0.8]
            for name, row in words.items()
        }

    return words, found(), found()


def test_a_and_b_are_what_evaluate_says_of_them():
    words, a, b = some(1)
    result = compare(words, a, b)
    for side, scores in (("a", evaluate(words, a).scores), ("b", evaluate(words, b).scores)):
        for part in ("precision", "recall", "hmean"):
            assert getattr(getattr(result.macro, part), side) == getattr(scores.competition.macro, part)
            assert getattr(getattr(result.global_, part), side) == getattr(scores.competition.global_, part)
            assert getattr(getattr(result.official, part), side) == getattr(scores.official.macro, part)
            assert getattr(getattr(result.iou, part), side) == getattr(scores.iou.macro, part)
    assert result.macro.hmean.difference == result.macro.hmean.b - result.macro.hmean.a
    low, high = result.macro.hmean.interval
    assert low < result.macro.hmean.difference < high


def test_a_better_b_is_a_positive_difference():
    words = {"a.jpg": row_of_words(4), "b.jpg": row_of_words(2)}
    whole = {name: boxes(row) for name, row in words.items()}
    half = {name: found[: len(found) // 2] for name, found in whole.items()}
    result = compare(words, half, whole)
    for score in (result.macro.hmean, result.macro.recall, result.global_.hmean, result.global_.recall):
        assert score.difference > 0
        assert score.interval[0] > 0
        assert score.p_positive == 1
    assert result.macro.recall.difference == result.global_.recall.difference == 0.5
    assert result.macro.precision.difference == result.global_.precision.difference == 0
    assert result.macro.precision.p_positive == 0


def test_the_most_helped_and_harmed_images_in_order():
    words = {f"{i:02d}.jpg": row_of_words(8) for i in range(30)}
    whole = {name: boxes(row) for name, row in words.items()}
    a, b = dict(whole), dict(whole)
    for i in range(12):  # A loses more and more words in the first twelve images
        a[f"{i:02d}.jpg"] = whole["00.jpg"][: 7 - i // 2]
    for i in range(12, 15):
        b[f"{i:02d}.jpg"] = whole["00.jpg"][: i - 11]
    result = compare(words, a, b)
    helped, harmed = result.helped(), result.harmed()
    assert [image.image for image in helped] == [
        *("10.jpg", "11.jpg", "08.jpg", "09.jpg", "06.jpg"),
        *("07.jpg", "04.jpg", "05.jpg", "02.jpg", "03.jpg"),
    ]
    assert [image.image for image in harmed] == [
        "12.jpg",
        "13.jpg",
        "14.jpg",
    ]  # none that is as good as before
    assert helped[0].difference == helped[0].hmean_b - helped[0].hmean_a > 0
    assert harmed[0].difference < 0
    assert len(result.images) == 30


def test_groups_by_the_number_of_words():
    words = {f"{n}.jpg": row_of_words(n) for n in (1, 2, 3, 4, 5, 6)}
    whole = {name: boxes(row) for name, row in words.items()}
    fewer = {name: found[:3] if len(found) > 4 else found for name, found in whole.items()}
    few, medium, many = compare(words, fewer, whole).density
    assert [(group.name, group.n_members, group.low, group.high) for group in (few, medium, many)] == [
        ("few", 2, 1, 2),
        ("medium", 2, 3, 4),
        ("many", 2, 5, 6),
    ]
    assert few.score.difference == medium.score.difference == 0
    recalls = 3 / 5, 3 / 6
    assert many.score.a == pytest.approx(sum(2 * r / (1 + r) for r in recalls) / 2)
    assert many.score.b == 1


def test_groups_by_the_height_of_words():
    heights = (10, 20, 40)
    words = {
        name: [Word(quad(10, 10 + 60 * i, 100, height)) for i, height in enumerate(heights)]
        for name in ("a.jpg", "b.jpg")
    }
    whole = {name: boxes(row) for name, row in words.items()}
    half = quad(10, 10, 50, 10)  # five of the small word's ten characters
    partly = {name: [half, *found[1:]] for name, found in whole.items()}
    result = compare(words, partly, whole)
    assert [(group.name, group.n_members, group.low, group.high) for group in result.word_size] == [
        ("small", 2, 10, 10),
        ("medium", 2, 20, 20),
        ("large", 2, 40, 40),
    ]
    small, medium, large = (group.score for group in result.word_size)
    assert (small.a, small.b, small.interval) == (0.5, 1, (0.5, 0.5))
    assert medium.difference == large.difference == 0


def test_a_turned_word_has_the_height_of_its_line():
    tall = Word(quad(10, 10, 12, 90))
    (group, *_) = compare({"a.jpg": [tall]}, {}, {}).word_size
    assert (group.low, group.high) == (12, 12)


def test_equal_values_leave_groups_empty():
    words = {"a.jpg": row_of_words(3), "b.jpg": row_of_words(3)}
    result = compare(words, {}, {name: boxes(row) for name, row in words.items()})
    for groups in (result.word_size, result.density):
        assert [group.n_members > 0 for group in groups] == [True, False, False]
        assert (groups[1].low, groups[1].score) == (None, None)
    json.dumps(result.as_json(), allow_nan=False)


def test_images_without_words_can_be_compared():
    false = [quad(0, 0, 30, 10)]
    result = compare({"empty.jpg": []}, {}, {"empty.jpg": false})
    assert result.macro.hmean.difference == 0
    assert [group.score for group in result.word_size] == [None, None, None]


def test_detections_of_other_images_are_left_out():
    words = {"a.jpg": row_of_words(2)}
    found = {"a.jpg": boxes(words["a.jpg"]), "z.jpg": [quad(0, 0, 30, 10)]}
    assert compare(words, found, {"a.jpg": found["a.jpg"]}).macro.hmean.difference == 0


def test_json_is_a_scores_object_of_differences():
    words, a, b = some(2)
    shown = compare(words, a, b).as_json()
    assert set(shown) == {
        *("images", "competition", "official", "iou"),
        *("word_size", "density", "helped", "harmed"),
    }
    assert shown["images"] == 12
    assert set(shown["competition"]) == {"macro", "global"}
    hmean = shown["competition"]["macro"]["hmean"]
    low, high = hmean["interval"]
    assert 0 < hmean["standard_error"] < high - low
    assert set(hmean) == {"a", "b", "difference", "standard_error", "interval", "p_positive"}
    assert set(shown["word_size"][0]) == {"group", "words", "low", "high", "recall"}
    assert set(shown["density"][0]) == {"group", "images", "low", "high", "hmean"}
    assert {"image", "words", "hmean_a", "hmean_b", "difference"} <= set(shown["helped"][0])
    json.dumps(shown, allow_nan=False)


def test_no_images():
    with pytest.raises(ValueError, match="no images to compare"):
        compare({}, {}, {})
