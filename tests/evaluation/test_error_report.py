"""The errors of several images: buckets that hold every word once, and numbers that agree with the scorer."""

from __future__ import annotations

import json

import numpy as np
import pytest
from word_crowds import box, crowd

from optdet.evaluation.error_kinds import ERROR_KINDS
from optdet.evaluation.error_report import error_report
from optdet.evaluation.evaluate import evaluate
from optdet.evaluation.polygon_measures import Frame
from optdet.structures import PROFILES, Word

FRAME = Frame(700, 200, 0.5)


def some(n_images=14):
    images = {f"{seed:02d}.jpg": crowd(seed, 1 + seed % 4) for seed in range(n_images)}
    words = {name: each[0] for name, each in images.items()}
    return words, {name: each[1] for name, each in images.items()}, dict.fromkeys(words, FRAME)


def buckets_of(report, name):
    (found,) = [each.buckets for each in report.properties if each.name == name]
    return {bucket.label: bucket for bucket in found}


@pytest.mark.parametrize("profile", PROFILES)
def test_it_agrees_with_evaluate(profile):
    words, found, frames = some()
    report = error_report(words, found, frames=frames, profile=profile)
    evaluated = evaluate(words, found)
    assert report.macro == evaluated.scores.of(profile).macro
    assert [image.name for image in report.images] == sorted(words)
    assert [image.hmean for image in report.images] == evaluated.hmeans_of(profile).tolist()
    kinds = {kind.kind: kind for kind in report.kinds}
    for kind in ERROR_KINDS:
        assert kinds[kind].n_characters == sum(image.errors.lost[kind] for image in report.images)
    with_words = [image.n_words > 0 for image in report.images]
    assert report.repaired == pytest.approx(np.mean(with_words), abs=1e-12)
    assert report.n_wordless == len(with_words) - sum(with_words)


def test_every_word_and_detection_is_in_one_bucket_of_each_property():
    words, found, frames = some()
    report = error_report(words, found, frames=frames)
    outcomes = [word for image in report.images for word in image.errors.words]
    n_false = sum(
        each.kind == "false_positive" for image in report.images for each in image.errors.detections
    )
    names = [each.name for each in report.properties]
    assert names == [
        *("height", "canvas_height", "aspect", "density", "gap", "border", "position", "rotation"),
    ]
    for each in report.properties:
        sums = {
            name: sum(getattr(bucket, name) for bucket in each.buckets)
            for name in ("n_words", "n_missed", "n_partial", "n_split", "n_merged", "n_lost")
        }
        assert sums == {
            "n_words": len(outcomes),
            "n_missed": sum(word.kind == "miss" for word in outcomes),
            "n_partial": sum(word.kind != "miss" and word.n_lost > 0 for word in outcomes),
            "n_split": sum(len(word.detections) > 1 for word in outcomes),
            "n_merged": sum(word.merged for word in outcomes),
            "n_lost": sum(word.n_lost for word in outcomes),
        }
        if each.name != "gap":
            assert sum(bucket.false.part for bucket in each.buckets) == n_false
            assert sum(bucket.false.whole for bucket in each.buckets) == sum(map(len, found.values()))
        for bucket in each.buckets:
            if bucket.recall.whole:
                low, high = bucket.recall.interval
                assert low <= high
                assert bucket.is_worse_than(high + 1e-9) == (bucket.recall.n_images >= 6)
            else:
                assert bucket.recall.interval is bucket.recall.value is None
                assert not bucket.is_worse_than(2)


def test_the_order_of_the_images_moves_no_digit():
    words, found, frames = some(8)
    backwards = {name: words[name] for name in reversed(words)}
    one, other = (error_report(each, found, frames=frames).as_json() for each in (words, backwards))
    assert one == other
    assert json.loads(json.dumps(one)) == one


def test_small_words_that_are_missed_are_seen_in_their_bucket():
    small, large = Word(box(10, 10, 30, 6)), Word(box(10, 60, 200, 40))
    words = {f"{i}.jpg": [small, large] for i in range(8)}
    found = {name: [large.polygon] for name in words}
    report = error_report(words, found, frames=dict.fromkeys(words, Frame(400, 100)))
    height = buckets_of(report, "height")
    below = next(bucket for bucket in height.values() if bucket.n_missed)
    assert (below.low, below.n_words, below.n_missed, below.recall.value) == (None, 8, 8, 0.0)
    assert below.recall.interval == (0, 0)
    assert below.is_worse_than(report.character_recall)
    assert "canvas_height" not in [each.name for each in report.properties]
    position = buckets_of(report, "position")
    assert (position["top left"].n_missed, position["bottom left"].n_words) == (8, 8)
    assert position["top right"].is_empty


def test_rotation_and_square_words():
    upright, square = Word(box(10, 10, 20, 100)), Word(box(100, 10, 20, 20))
    flat = Word(box(200, 10, 100, 20))
    report = error_report({"a.jpg": [upright, square, flat]}, {})
    assert {label: bucket.n_words for label, bucket in buckets_of(report, "rotation").items()} == {
        "horizontal 0-5°": 1,
        "slanted 5-30°": 0,
        "diagonal 30-60°": 0,
        "steep 60-85°": 0,
        "vertical 85-90°": 1,
        "nearly square": 1,
    }
    assert [each.name for each in report.properties] == ["height", "aspect", "density", "gap", "rotation"]


def test_an_edge_belongs_to_the_bucket_above():
    words = {"a.jpg": [Word(box(0, 50 * i, 10 * ratio, 10)) for i, ratio in enumerate((1.5, 3, 2.9, 12))]}
    labels = {
        label: bucket.n_words for label, bucket in buckets_of(error_report(words, {}), "aspect").items()
    }
    assert labels == {
        **{"below 1.5": 0, "1.5 to 3": 2, "3 to 5": 1, "5 to 8": 0, "8 to 12": 0},
        "from 12": 1,
    }


def test_worst_images_first_and_perfect_ones_never():
    word = Word(box(10, 10, 100, 20))
    words = {name: [word, Word(box(10, 60, 100, 20))] for name in ("a", "b", "c")}
    found = {"a": [box(10, 10, 100, 20), box(10, 60, 100, 20)], "b": [box(10, 10, 100, 20)]}
    report = error_report(words, found)
    assert [(image.name, image.main) for image in report.worst(5)] == [("c", "miss"), ("b", "miss")]
    assert [image.name for image in report.worst(1)] == ["c"]
    assert report.repaired == 1
    assert report.mismatches.n_words == report.mismatches.cost == 0


def test_no_words_and_no_images():
    report = error_report({"a.jpg": []}, {"a.jpg": [box(0, 0, 20, 10)]})
    assert (report.repaired, report.n_wordless, report.character_recall) == (0, 1, 0)
    assert json.dumps(report.as_json())
    assert [each.name for each in report.properties] == ["height", "aspect", "density", "gap", "rotation"]
    with pytest.raises(ValueError, match="no images"):
        error_report({}, {})
