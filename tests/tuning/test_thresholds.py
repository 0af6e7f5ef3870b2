"""Threshold tuning on maps that are known: what it tries, what it finds, and that it repeats itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna.samplers import TPESampler

from optdet.config import Choice, FloatRange, PostprocessConfig, ThresholdSpace, TuneConfig
from optdet.detection.postprocess import MapDetector
from optdet.detection.targets import build_targets
from optdet.errors import OptdetError
from optdet.evaluation.lattice import ImageScorer, best_of, coarse_lattice, crossfit, macro_scores
from optdet.geometry.letterbox import Letterbox
from optdet.structures import Thresholds, Word
from optdet.tuning.space import is_inside, suggest
from optdet.tuning.thresholds import (
    crossfit_hmean,
    fixed_points,
    from_params,
    replace_thresholds,
    space_of,
    tune_thresholds,
)

SIZE = 128
CURRENT = Thresholds(0.22, 0.25, 1.7, 600, False, 3.0)
NAMES = ("b.jpg", "a.jpg", "e.jpg", "g.jpg", "r.jpg")  # one of each cross-fit part
NARROW = TuneConfig(
    trials=25,
    space=ThresholdSpace(
        thresh=FloatRange(type="float", low=0.1, high=0.3, step=0.05),
        box_thresh=FloatRange(type="float", low=0.05, high=0.2, step=0.01),
        unclip_ratio=FloatRange(type="float", low=1.0, high=2.5, step=0.1),
        max_candidates=Choice(type="categorical", choices=(600,)),
        use_polygon=Choice(type="categorical", choices=(False,)),
    ),
)
WIDE = TuneConfig(trials=3)


@pytest.fixture
def scorers():
    """Faint words beside a fainter smear: only a low box_thresh, but not too low, finds the words alone."""
    found = []
    for index, name in enumerate(NAMES):
        polygons = [
            np.array([[16.0, y], [80 + 6 * index, y], [80 + 6 * index, y + 20], [16, y + 20]])
            for y in (12, 48, 88)
        ]
        word, other, smear = (
            build_targets([polygon], [False], SIZE).shrink_map.astype(np.float32) for polygon in polygons
        )
        prob_map = word * 0.35 + other * 0.21 + smear * 0.14
        words = [Word(polygon) for polygon in polygons[:2]]
        found.append(ImageScorer(name, MapDetector(prob_map, Letterbox(SIZE, SIZE, SIZE)), words))
    return found


@pytest.mark.parametrize("method", ["tpe", "random"])
def test_the_seed_decides(scorers, method):
    tune = NARROW.model_copy(update={"method": method, "trials": 8})
    one, same, other = (tune_thresholds(scorers, tune, CURRENT, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one.tried != other.tried


@pytest.mark.parametrize("method", ["tpe", "random", "none"])
def test_current_is_tried_first_and_nothing_fixed_beats_the_best(scorers, method):
    tuned = tune_thresholds(scorers, NARROW.model_copy(update={"method": method}), CURRENT, seed=0)
    assert tuned.tried[0].thresholds == CURRENT
    for thresholds in (CURRENT, *coarse_lattice(CURRENT)):
        assert tuned.best.scores.hmean >= macro_scores(scorers, thresholds).hmean
    assert tuned.best.scores == macro_scores(scorers, tuned.best.thresholds)
    assert tuned.best == next(entry for entry in tuned.tried if entry.scores.hmean == tuned.best.scores.hmean)
    tried = [entry.thresholds for entry in tuned.tried]
    assert len(tried) == len(set(tried))


def test_the_search_finds_what_the_fixed_points_miss(scorers):
    fixed = tune_thresholds(scorers, NARROW.model_copy(update={"method": "none"}), CURRENT, seed=0)
    assert [entry.thresholds for entry in fixed.tried] == fixed_points(CURRENT, space_of(NARROW))
    searched = tune_thresholds(scorers, NARROW, CURRENT, seed=0)
    assert searched.best.scores.hmean > fixed.best.scores.hmean
    assert 0.14 < searched.best.thresholds.box_thresh <= 0.21 + 1e-6


@pytest.mark.parametrize("method", ["tpe", "random"])
def test_the_space_is_respected(scorers, method):
    space = space_of(NARROW)
    n_fixed = len(fixed_points(CURRENT, space))
    tuned = tune_thresholds(scorers, NARROW.model_copy(update={"method": method}), CURRENT, seed=0)
    searched = tuned.tried[n_fixed:]
    assert len(searched) > 10
    for entry in searched:
        values = {name: getattr(entry.thresholds, name) for name in space}
        assert is_inside(space, values), values
        assert entry.thresholds.min_side == CURRENT.min_side


def test_tpe_knows_the_fixed_points(scorers):
    """Its first suggestion is not the one that it would make of nothing."""
    space = space_of(WIDE)
    current = replace(CURRENT, max_candidates=1000)  # a choice of the space: so are the points around it
    tuned = tune_thresholds(scorers, WIDE, current, seed=0)
    study = optuna.create_study(sampler=TPESampler(seed=0, multivariate=True))
    of_nothing = from_params(suggest(study.ask(), space), current)
    assert of_nothing not in [entry.thresholds for entry in tuned.tried]


def test_progress_is_said(scorers):
    heard = []
    tune = NARROW.model_copy(update={"trials": 4})
    tune_thresholds(scorers[:1], tune, CURRENT, seed=0, on_trial=lambda *numbers: heard.append(numbers))
    assert heard == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_fixed_points_are_those_in_use_the_defaults_and_lattices():
    wide = space_of(TuneConfig())
    points = fixed_points(CURRENT, wide)
    assert points[0] == CURRENT
    assert replace(PostprocessConfig().thresholds(), min_side=3.0) in points
    assert set(coarse_lattice(CURRENT)) <= set(points)
    assert {point.use_polygon for point in points} == {False, True}
    assert {point.use_polygon for point in fixed_points(CURRENT, space_of(NARROW))} == {False}
    assert len(points) == len(set(points))


def test_polygons_in_use_are_compared_with_quads_where_searched():
    polygons = replace(CURRENT, use_polygon=True)
    assert {point.use_polygon for point in fixed_points(polygons, space_of(TuneConfig()))} == {False, True}


def test_params_lose_the_dust_of_their_steps():
    params = {"thresh": 0.1 + 0.2, "box_thresh": 0.7 - 0.1, "unclip_ratio": 1.1 + 2.2}
    thresholds = from_params(params, CURRENT)
    assert (thresholds.thresh, thresholds.box_thresh, thresholds.unclip_ratio) == (0.3, 0.6, 3.3)
    assert thresholds.max_candidates == CURRENT.max_candidates


def test_crossfit_chooses_among_all_that_was_tried_without_the_scored_images(scorers):
    tuned = tune_thresholds(scorers, NARROW, CURRENT, seed=0)
    candidates = [entry.thresholds for entry in tuned.tried]
    expected = crossfit(scorers, lambda part: best_of(part, candidates).thresholds)
    assert crossfit_hmean(scorers, tuned) == expected
    assert 0 < expected <= tuned.best.scores.hmean
    assert crossfit_hmean(scorers[:1], tuned) is None


def test_replace():
    changed = replace_thresholds(CURRENT, ["thresh=0.3", "use_polygon=true"])
    assert changed == replace(CURRENT, thresh=0.3, use_polygon=True)
    assert replace_thresholds(CURRENT, []) == CURRENT


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("tresh=0.3", "no threshold is named 'tresh'"),
        ("thresh=1.5", "thresh"),
        ("thresh=low", "thresh"),
        ("thresh", "not an override"),
    ],
)
def test_replace_refuses(change, message):
    with pytest.raises(OptdetError, match=message):
        replace_thresholds(CURRENT, [change])
