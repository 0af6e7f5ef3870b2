"""One configuration on many maps, by the plain pipeline."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optdet.detection.postprocess import MapDetector
from optdet.detection.targets import build_targets
from optdet.evaluation.evaluate import evaluate
from optdet.evaluation.scorer import (
    ImageScorer,
    evaluate_at,
    hmeans,
    macro_hmean,
    part_of,
)
from optdet.geometry.letterbox import Letterbox
from optdet.structures import Thresholds, Word

SIZE = 128
LOW = Thresholds(0.2, 0.3, 2.0, 1000, False, 3.0)
HIGH = replace(LOW, box_thresh=0.6)
WORD = np.array([[20.0, 20], [90, 20], [90, 44], [20, 44]])
NOISE = np.array([[20.0, 80], [90, 80], [90, 104], [20, 104]])
# One name of each part: SHA-256 decides, and it must never change.
NAMES = {0: "b.jpg", 1: "a.jpg", 2: "e.jpg", 3: "g.jpg", 4: "r.jpg"}


def scorer(name, *, faint, smear=NOISE):
    """A word that only LOW finds where ``faint``; else a word beside a smear that HIGH leaves out."""
    word, noise = (build_targets([polygon], [False], SIZE).shrink_map for polygon in (WORD, smear))
    prob_map = word * 0.4 if faint else word * 0.9 + noise * 0.5
    return ImageScorer(name, MapDetector(prob_map, Letterbox(SIZE, SIZE, SIZE)), [Word(WORD)])


def test_scores_of_an_image():
    assert [scorer("a", faint=True).hmean(thresholds) for thresholds in (LOW, HIGH)] == [1, 0]
    clear = scorer("a", faint=False)
    assert 0 < clear.hmean(LOW) < 1 == clear.hmean(HIGH)
    assert clear.hmean(LOW) == clear.hmean(LOW)


def test_one_configuration_over_images():
    scorers = [scorer("a", faint=True), scorer("b", faint=False)]
    assert hmeans(scorers, HIGH).tolist() == [0, 1]
    assert macro_hmean(scorers, HIGH) == 0.5
    evaluation = evaluate_at(scorers, HIGH)
    assert evaluation.names == ("a", "b")
    polygons = {each.name: each.detector.detect(HIGH).polygons for each in scorers}
    assert evaluation == evaluate({name: [Word(WORD)] for name in polygons}, polygons)


def test_the_mean_that_is_searched_is_the_one_that_is_reported():
    # Smears of many lengths cost many different fractions, so that the order of adding would show.
    rights = range(34, 121, 3)
    smears = [np.array([[20.0, 80], [right, 80], [right, 94], [20, 94]]) for right in rights]
    scorers = [scorer(str(index), faint=False, smear=smear) for index, smear in enumerate(smears)]
    assert len(set(hmeans(scorers, LOW).tolist())) > 3
    for thresholds in (LOW, HIGH, replace(LOW, unclip_ratio=1.5)):
        reported = evaluate_at(scorers, thresholds).scores.competition.macro.hmean
        assert macro_hmean(scorers, thresholds) == reported
        assert macro_hmean(scorers[::-1], thresholds) == reported


def test_no_images():
    with pytest.raises(ValueError, match="no images to score"):
        macro_hmean([], LOW)


def test_parts_never_change():
    assert {part_of(name): name for name in NAMES.values()} == NAMES
    counts = np.bincount([part_of(f"{index:04}.jpg") for index in range(2000)])
    assert len(counts) == 5
    assert counts.min() > 340
