"""Threshold tuning on maps that are known: what it tries, what it finds, and that it repeats itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna.samplers import TPESampler

from optdet.config import PostprocessConfig, TuneConfig
from optdet.detection.postprocess import MapDetector
from optdet.detection.targets import build_targets
from optdet.errors import OptdetError
from optdet.evaluation.scorer import ImageScorer, hmeans, macro_scores, part_of
from optdet.geometry.letterbox import Letterbox
from optdet.search_space import Choice, FloatRange, ThresholdSpace
from optdet.structures import Thresholds, Word
from optdet.tuning.space import is_inside, space_of, suggest
from optdet.tuning.task import TuningTask
from optdet.tuning.threshold_search import fixed_points, from_params
from optdet.tuning.thresholds import replace_thresholds, tune_thresholds

SIZE = 128
CURRENT = Thresholds(0.22, 0.25, 1.7, 600, False, 3.0)
NAMES = ("b.jpg", "a.jpg", "e.jpg", "g.jpg", "r.jpg")  # one of each cross-fit part
NARROW = TuneConfig(
    method="tpe",
    select="best",
    trials=25,
    space=ThresholdSpace(
        thresh=FloatRange(type="float", low=0.1, high=0.3, step=0.05),
        box_thresh=FloatRange(type="float", low=0.05, high=0.2, step=0.01),
        unclip_ratio=FloatRange(type="float", low=1.0, high=2.5, step=0.1),
        max_candidates=Choice(type="categorical", choices=(600,)),
        use_polygon=Choice(type="categorical", choices=(False,)),
    ),
)
WIDE = TuneConfig(method="tpe", trials=3)


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
        prob_map = (word * 0.35 + other * 0.21 + smear * 0.14).astype(np.float16)
        words = [Word(polygon) for polygon in polygons[:2]]
        found.append(ImageScorer(name, MapDetector(prob_map, Letterbox(SIZE, SIZE, SIZE)), words))
    return found


@pytest.mark.parametrize("method", ["tpe", "random"])
def test_the_seed_decides(scorers, method):
    tune = NARROW.model_copy(update={"method": method, "trials": 8})
    one, same, other = (tune_thresholds(TuningTask(scorers, tune, CURRENT, seed=seed)) for seed in (1, 1, 2))
    assert one == same
    assert one.tried != other.tried


@pytest.mark.parametrize("method", ["tpe", "random"])
def test_current_is_tried_first_and_nothing_fixed_beats_the_best(scorers, method):
    tuned = tune_thresholds(
        TuningTask(scorers, NARROW.model_copy(update={"method": method}), CURRENT, seed=0)
    )
    assert tuned.tried[0].thresholds == CURRENT
    for thresholds in fixed_points(CURRENT, space_of(NARROW)):
        assert tuned.best.scores.hmean >= macro_scores(scorers, thresholds).hmean
    assert tuned.best.scores == macro_scores(scorers, tuned.best.thresholds)
    assert tuned.best == next(entry for entry in tuned.tried if entry.scores.hmean == tuned.best.scores.hmean)
    tried = [entry.thresholds for entry in tuned.tried]
    assert len(tried) == len(set(tried))


def test_the_search_finds_what_the_fixed_points_miss(scorers):
    fixed = [macro_scores(scorers, point).hmean for point in fixed_points(CURRENT, space_of(NARROW))]
    assert tune_thresholds(TuningTask(scorers, NARROW, CURRENT, seed=0)).best.scores.hmean > max(fixed)


def test_none_keeps_the_thresholds_in_use_however_bad(scorers):
    current = replace(CURRENT, thresh=0.9)
    tuned = tune_thresholds(TuningTask(scorers, WIDE.model_copy(update={"method": "none"}), current, seed=0))
    assert [entry.thresholds for entry in tuned.tried] == [current]
    assert tuned.chosen.scores == macro_scores(scorers, current)
    assert tuned.choice.crossfit == tuned.chosen.scores.hmean < macro_scores(scorers, CURRENT).hmean


@pytest.mark.parametrize("method", ["tpe", "random"])
def test_the_space_is_respected(scorers, method):
    space = space_of(NARROW)
    n_fixed = len(fixed_points(CURRENT, space))
    tuned = tune_thresholds(
        TuningTask(scorers, NARROW.model_copy(update={"method": method}), CURRENT, seed=0)
    )
    searched = tuned.tried[n_fixed:]
    assert len(searched) > 10
    for entry in searched:
        values = {name: getattr(entry.thresholds, name) for name in space}
        assert is_inside(space, values), values
        assert entry.thresholds.min_side == CURRENT.min_side


@pytest.mark.parametrize("method", ["tpe", "random"])
def test_a_usual_point_outside_the_space_is_not_chosen_however_good(scorers, method):
    """Here thresh 0.2 with box_thresh 0.3 finds a word, and nothing that the space allows finds any."""
    box_thresh = FloatRange(type="float", low=0.8, high=0.95, step=0.05)
    tune = TuneConfig(method=method, trials=3, space=ThresholdSpace(box_thresh=box_thresh))
    current = Thresholds(0.9, 0.7, 1.7, 600, False, 3.0)  # outside as well, but in use
    assert macro_scores(scorers, replace(current, thresh=0.2, box_thresh=0.3)).hmean > 0
    tuned = tune_thresholds(TuningTask(scorers, tune, current, seed=0))
    assert tuned.tried[0].thresholds == current
    assert all(entry.thresholds.box_thresh >= 0.8 for entry in tuned.tried[1:])
    assert tuned.chosen.scores.hmean == 0


def test_what_is_in_use_is_no_choice_where_its_kind_is_ruled_out(scorers):
    """As with quads alone, however good its polygons are."""
    current = replace(CURRENT, thresh=0.2, box_thresh=0.16, use_polygon=True)
    tuned = tune_thresholds(TuningTask(scorers, NARROW, current, seed=0))
    assert tuned.tried[0].thresholds == current
    assert {choice.thresholds.use_polygon for choice in tuned.choices.values()} == {False}


def test_both_rules_choose_whichever_is_recommended(scorers):
    by_best, by_robust = (
        tune_thresholds(TuningTask(scorers, NARROW.model_copy(update={"select": select}), CURRENT, seed=0))
        for select in ("best", "robust")
    )
    assert by_best.choices == by_robust.choices
    best, robust = by_best.choices["best"], by_best.choices["robust"]
    assert best.thresholds == by_best.chosen.thresholds == by_best.best.thresholds
    assert robust.thresholds == by_robust.chosen.thresholds
    assert best.thresholds != robust.thresholds
    assert (best, robust) == (by_best.choice, by_robust.choice)
    assert best.at_bounds == ("thresh", "box_thresh")  # 0.15 and 0.06, one step from 0.1 and 0.05


def test_tpe_knows_the_fixed_points(scorers):
    """Its first suggestion is not the one that it would make of nothing."""
    space = space_of(WIDE)
    current = replace(CURRENT, max_candidates=1000)  # a choice of the space: so are the points around it
    tuned = tune_thresholds(TuningTask(scorers, WIDE, current, seed=0))
    study = optuna.create_study(sampler=TPESampler(seed=0, multivariate=True))
    of_nothing = from_params(suggest(study.ask(), space), current)
    assert of_nothing not in [entry.thresholds for entry in tuned.tried]


def test_progress_is_said(scorers):
    heard = []
    tune = NARROW.model_copy(update={"trials": 4})
    tune_thresholds(
        TuningTask(scorers[:1], tune, CURRENT, seed=0), on_trial=lambda *numbers: heard.append(numbers)
    )
    assert heard == [(done, 5) for done in (1, 2, 3, 4, 5)]  # the thresholds in use, then what was asked for


def test_a_sweep_of_quads_and_polygons_is_one_count(scorers):
    heard = []
    both = Choice(type="categorical", choices=(False, True))
    space = NARROW.space.model_copy(update={"use_polygon": both})
    tune = NARROW.model_copy(update={"method": "exhaustive", "space": space})
    task = TuningTask(scorers[:2], tune, CURRENT, seed=0)
    tune_thresholds(task, on_trial=lambda *numbers: heard.append(numbers))
    assert heard == [(done, 4) for done in (1, 2, 3, 4)]


def test_fixed_points_are_those_in_use_the_defaults_and_lattices():
    wide = space_of(TuneConfig())
    current = replace(CURRENT, max_candidates=500)
    points = fixed_points(current, wide)
    assert points[0] == current
    assert replace(PostprocessConfig().thresholds(), min_side=3.0) in points
    assert replace(current, thresh=0.3, box_thresh=0.6, unclip_ratio=1.5) in points
    assert {point.use_polygon for point in points} == {False, True}
    assert {point.use_polygon for point in fixed_points(CURRENT, space_of(NARROW))} == {False}
    assert len(points) == len(set(points))


def test_polygons_in_use_are_compared_with_quads_where_searched():
    polygons = replace(CURRENT, use_polygon=True, max_candidates=500)
    assert {point.use_polygon for point in fixed_points(polygons, space_of(TuneConfig()))} == {False, True}


def test_params_lose_the_dust_of_their_steps():
    params = {"thresh": 0.1 + 0.2, "box_thresh": 0.7 - 0.1, "unclip_ratio": 1.1 + 2.2}
    thresholds = from_params(params, CURRENT)
    assert (thresholds.thresh, thresholds.box_thresh, thresholds.unclip_ratio) == (0.3, 0.6, 3.3)
    assert thresholds.max_candidates == CURRENT.max_candidates


def crossfit_by_hand(scorers, candidates):
    """Each part scored at the candidate that is best (the first of equals) on the other parts."""
    parts = np.array([part_of(scorer.name) for scorer in scorers])
    by_image = np.array([hmeans(scorers, thresholds) for thresholds in candidates])
    total = 0.0
    for part in set(parts.tolist()):
        chosen = by_image[:, parts != part].mean(axis=1).argmax()
        total += by_image[chosen, parts == part].sum()
    return total / len(scorers)


def test_crossfit_chooses_among_all_that_was_tried_without_the_scored_images(scorers):
    tuned = tune_thresholds(TuningTask(scorers, NARROW, CURRENT, seed=0))
    expected = crossfit_by_hand(scorers, [entry.thresholds for entry in tuned.tried])
    assert tuned.choice.crossfit == pytest.approx(expected, abs=1e-12)
    assert 0 < expected <= tuned.best.scores.hmean
    assert tune_thresholds(TuningTask(scorers[:1], NARROW, CURRENT, seed=0)).choice.crossfit is None


class TestExhaustive:
    ALL = NARROW.model_copy(update={"method": "exhaustive"})

    def test_nothing_of_the_space_is_better(self, scorers):
        """The whole lattice, by the plain pipeline; box_thresh is continuous, so the sweep may be better
        still."""
        tuned = tune_thresholds(TuningTask(scorers, self.ALL, CURRENT, seed=0))
        assert tuned.chosen.thresholds == tuned.best.thresholds
        plain = max(
            macro_scores(
                scorers, replace(CURRENT, thresh=t / 100, box_thresh=b / 100, unclip_ratio=u / 10)
            ).hmean
            for t in range(10, 31, 5)
            for b in range(5, 21)
            for u in range(10, 26)
        )
        assert tuned.chosen.scores.hmean >= plain
        assert tuned.chosen.scores == macro_scores(scorers, tuned.chosen.thresholds)

    def test_tpe_does_not_beat_it_and_comes_close(self, scorers):
        best = tune_thresholds(TuningTask(scorers, self.ALL, CURRENT, seed=0)).chosen.scores.hmean
        found = tune_thresholds(TuningTask(scorers, NARROW, CURRENT, seed=0)).chosen.scores.hmean
        assert best - 0.05 <= found <= best

    def test_the_result_does_not_depend_on_seed_or_workers(self, scorers):
        one = tune_thresholds(TuningTask(scorers, self.ALL, CURRENT, seed=0), workers=1)
        other = tune_thresholds(TuningTask(scorers, self.ALL, CURRENT, seed=1), workers=3)
        assert (one.tried, one.chosen, one.choice) == (other.tried, other.chosen, other.choice)

    def test_current_and_defaults_are_among_what_was_tried(self, scorers):
        tuned = tune_thresholds(TuningTask(scorers, self.ALL, CURRENT, seed=0))
        tried = [entry.thresholds for entry in tuned.tried]
        assert tried[0] == CURRENT
        assert PostprocessConfig().thresholds() in tried
        assert 40 <= len(tried) < 50  # 5 values of thresh, 8 of the 16 of box_thresh, and the named ones
        for entry in tuned.tried[::9]:
            expected = macro_scores(scorers, entry.thresholds)
            assert entry.scores.hmean == pytest.approx(expected.hmean, abs=1e-10)
            assert entry.scores.precision == pytest.approx(expected.precision, abs=1e-10)

    def test_what_lies_outside_the_space_is_listed_but_not_chosen(self, scorers):
        space = NARROW.space.model_copy(
            update={"thresh": FloatRange(type="float", low=0.25, high=0.3, step=0.05)}
        )
        current = replace(CURRENT, thresh=0.16, box_thresh=0.18)  # finds both words; the space only one
        tuned = tune_thresholds(
            TuningTask(scorers, self.ALL.model_copy(update={"space": space}), current, seed=0)
        )
        assert tuned.best.thresholds == current
        assert PostprocessConfig().thresholds() in [entry.thresholds for entry in tuned.tried]
        assert is_inside({"thresh": space.thresh}, {"thresh": tuned.chosen.thresholds.thresh})
        assert tuned.chosen.scores.hmean < tuned.best.scores.hmean

    @pytest.mark.parametrize("in_use", [600, 1000])
    def test_max_candidates_stays_where_another_changes_nothing(self, scorers, in_use):
        space = NARROW.space.model_copy(update={"max_candidates": ThresholdSpace().max_candidates})
        tune = self.ALL.model_copy(update={"space": space, "select": "robust"})
        tuned = tune_thresholds(TuningTask(scorers, tune, replace(CURRENT, max_candidates=in_use), seed=0))
        assert tuned.chosen.thresholds.max_candidates == in_use
        assert tuned.best.thresholds.max_candidates == in_use

    def test_max_candidates_changes_where_that_gains(self, scorers):
        space = NARROW.space.model_copy(update={"max_candidates": ThresholdSpace().max_candidates})
        tune = self.ALL.model_copy(update={"space": space})
        tuned = tune_thresholds(TuningTask(scorers, tune, replace(CURRENT, max_candidates=1), seed=0))
        [landscape] = tuned.landscapes
        assert landscape.lattice.max_candidates == (1, 500)  # no image has 500 contours: 1000 is the same
        assert tuned.chosen.thresholds.max_candidates == 500

    def test_a_space_that_names_its_limits_is_kept_to(self, scorers):
        space = NARROW.space.model_copy(
            update={"max_candidates": Choice(type="categorical", choices=(500, 700))}
        )
        tuned = tune_thresholds(
            TuningTask(scorers, self.ALL.model_copy(update={"space": space}), CURRENT, seed=0)
        )
        assert tuned.chosen.thresholds.max_candidates == 500

    def test_a_choice_at_an_end_is_flagged(self, scorers):
        space = NARROW.space.model_copy(
            update={"box_thresh": FloatRange(type="float", low=0.2, high=0.9, step=0.05)}
        )
        tuned = tune_thresholds(
            TuningTask(scorers, self.ALL.model_copy(update={"space": space}), CURRENT, seed=0)
        )
        assert "box_thresh" in tuned.choice.at_bounds

    def test_too_fine_a_lattice(self, scorers):
        space = NARROW.space.model_copy(
            update={"thresh": FloatRange(type="float", low=0.1, high=0.9, step=0.001)}
        )
        with pytest.raises(OptdetError, match="801 values of thresh, at most 255 can be swept"):
            tune_thresholds(
                TuningTask(scorers, self.ALL.model_copy(update={"space": space}), CURRENT, seed=0)
            )


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
        ("thresh", "'thresh' is no threshold; write name=value"),
    ],
)
def test_replace_refuses(change, message):
    with pytest.raises(OptdetError, match=message):
        replace_thresholds(CURRENT, [change])
