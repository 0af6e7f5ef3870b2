"""Many configurations on the same maps: the best of them, and what is left of it on other images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optdet.detection.postprocess import MapDetector
from optdet.detection.targets import build_targets
from optdet.evaluation.evaluate import evaluate
from optdet.evaluation.lattice import (
    ImageScorer,
    best_of,
    coarse_lattice,
    crossfit,
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
    for thresholds in coarse_lattice(LOW)[:6]:
        reported = evaluate_at(scorers, thresholds).scores.competition.macro.hmean
        assert macro_hmean(scorers, thresholds) == reported
        assert macro_hmean(scorers[::-1], thresholds) == reported
        assert best_of(scorers, [thresholds]).hmean == reported


def test_best_and_the_first_of_equals():
    scorers = [scorer("a", faint=True)]
    assert best_of(scorers, [HIGH, LOW]).thresholds == LOW
    same = replace(LOW, max_candidates=999)
    assert best_of(scorers, [same, LOW]).thresholds == same
    assert best_of(scorers, iter([LOW, same])).thresholds == LOW
    assert best_of(scorers, [HIGH]).hmean == 0


def test_nothing_to_compare():
    with pytest.raises(ValueError, match="no configurations to compare"):
        best_of([scorer("a", faint=True)], [])
    with pytest.raises(ValueError, match="no images to score"):
        best_of([], [LOW])


@pytest.mark.parametrize(
    "current",
    [LOW, replace(LOW, thresh=0.3, box_thresh=0.6, unclip_ratio=1.5), replace(LOW, use_polygon=True)],
)
def test_coarse_lattice(current):
    points = coarse_lattice(current)
    assert points[0] == current
    assert len(set(points)) == len(points)
    assert 24 <= len(points) <= 48
    assert {point.use_polygon for point in points} == {current.use_polygon}
    assert {point.max_candidates for point in points} == {current.max_candidates}
    assert replace(current, thresh=0.3, box_thresh=0.6, unclip_ratio=1.5) in points


def test_parts_never_change():
    assert {part_of(name): name for name in NAMES.values()} == NAMES
    counts = np.bincount([part_of(f"{index:04}.jpg") for index in range(2000)])
    assert len(counts) == 5
    assert counts.min() > 340


def best_of_two(part):
    return best_of(part, [HIGH, LOW]).thresholds


def test_crossfit_by_hand():
    # Part 2 is faint; parts 3 and 4 are clear. Tuned without part 2, HIGH is best, which scores 0 there.
    # Without 3 (or 4) one faint and one clear image are left, and LOW is better over both.
    scorers = [scorer(NAMES[2], faint=True), scorer(NAMES[3], faint=False), scorer(NAMES[4], faint=False)]
    clear = scorers[1].hmean(LOW)
    assert clear > 0
    assert crossfit(scorers, best_of_two) == pytest.approx((0 + clear + clear) / 3)
    assert macro_hmean(scorers, best_of_two(scorers)) > (2 * clear) / 3


def test_crossfit_scores_images_not_parts():
    names = [name for name in (f"{index}.jpg" for index in range(40)) if part_of(name) == 0][:3]
    scorers = [scorer(name, faint=False) for name in names] + [scorer(NAMES[1], faint=True)]
    # Without part 0 LOW is found, without part 1 HIGH.
    assert crossfit(scorers, best_of_two) == pytest.approx((3 * scorers[0].hmean(LOW) + 0) / 4)


def test_crossfit_never_tunes_on_what_it_scores():
    scorers = [scorer(f"{index}.jpg", faint=False) for index in range(12)]
    seen = []

    def tune(part):
        seen.append({each.name for each in part})
        return LOW

    crossfit(scorers, tune)
    parts = {part_of(each.name) for each in scorers}
    everything = {each.name for each in scorers}
    assert len(seen) == len(parts)
    left_out = [everything - names for names in seen]
    assert [{part_of(name) for name in names} for names in left_out] == [{part} for part in sorted(parts)]
    assert set.union(*left_out) == everything


def test_crossfit_needs_two_parts():
    names = [name for name in (f"{index}.jpg" for index in range(20)) if part_of(name) == 3]
    assert len(names) > 1
    assert crossfit([scorer(name, faint=False) for name in names], best_of_two) is None
    assert crossfit([], best_of_two) is None
