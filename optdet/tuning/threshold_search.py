"""Threshold tuning by an Optuna study in memory: TPE or random points after a fixed set that it knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import create_trial

from optdet.config import Dimension, PostprocessConfig, TuneConfig
from optdet.evaluation.scorer import ImageScorer, hmeans, macro_scores, part_of
from optdet.evaluation.selection import Select, smoothed_points
from optdet.metrics.scores import PRH
from optdet.structures import FloatArray, Thresholds
from optdet.tuning.space import distributions, is_inside, space_of, suggest
from optdet.tuning.tried import Tried, Tuned

OnTrial = Callable[[int, int], None]


def search_thresholds(
    scorers: Sequence[ImageScorer],
    tune: TuneConfig,
    current: Thresholds,
    seed: int,
    on_trial: OnTrial | None,
) -> Tuned:
    space = space_of(tune)
    tried = {thresholds: macro_scores(scorers, thresholds) for thresholds in fixed_points(current, space)}
    if tune.method != "none":
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # what is done is said by the commands
        study = optuna.create_study(direction="maximize", sampler=_sampler(tune, seed))
        study.add_trials(_known(tried, space))
        for number in range(tune.trials):
            trial = study.ask()
            thresholds = from_params(suggest(trial, space), current)
            tried.setdefault(thresholds, macro_scores(scorers, thresholds))
            study.tell(trial, tried[thresholds].hmean)
            if on_trial is not None:
                on_trial(number + 1, tune.trials)
    points = list(tried)
    by_image = np.array([hmeans(scorers, thresholds) for thresholds in points])
    index = _choice(points, np.array([tried[point].hmean for point in points]), tune.select)
    return Tuned(
        tried=tuple(Tried(thresholds, scores) for thresholds, scores in tried.items()),
        chosen=Tried(points[index], tried[points[index]]),
        crossfit=_crossfit_of_tried(points, by_image, [scorer.name for scorer in scorers], tune.select),
    )


def _choice(points: Sequence[Thresholds], values: FloatArray, select: Select) -> int:
    return int(np.argmax(smoothed_points(points, values) if select == "robust" else values))


def _crossfit_of_tried(
    points: Sequence[Thresholds], by_image: FloatArray, names: Sequence[str], select: Select
) -> float | None:
    """The design's ``hmean_crossfit``: of all that was tried, the choice on 4/5 of the images scores the
    rest.

    The candidates are those of the whole search, the choice among them is made without the scored images.
    """
    parts = np.array([part_of(name) for name in names])
    if len(set(parts.tolist())) < 2:
        return None
    total = 0.0
    for part in np.unique(parts):
        index = _choice(points, by_image[:, parts != part].mean(axis=1), select)
        total += float(by_image[index, parts == part].sum())
    return total / len(names)


def from_params(params: dict[str, Any], current: Thresholds) -> Thresholds:
    """Thresholds from Optuna's values, rounded off the floating-point dust of a step."""
    return Thresholds.from_dict(
        {
            **current.as_dict(),
            **params,
            "thresh": round(float(params["thresh"]), 6),
            "box_thresh": round(float(params["box_thresh"]), 6),
            "unclip_ratio": round(float(params["unclip_ratio"]), 6),
        }
    )


def fixed_points(current: Thresholds, space: dict[str, Dimension]) -> list[Thresholds]:
    """What is always tried: current, and of the defaults and the usual points those inside the space.

    Only what is in use may lie outside: a point that the space rules out must not be chosen.
    """
    usual = PostprocessConfig().thresholds()
    points = [current, replace(usual, min_side=current.min_side)]
    for use_polygon in (False, True):
        if use_polygon == current.use_polygon or is_inside(space, {"use_polygon": use_polygon}):
            ratios = (1.5, 2.0) if use_polygon == current.use_polygon else (2.0,)
            points += [
                replace(
                    current,
                    thresh=thresh / 100,
                    box_thresh=box_thresh / 100,
                    unclip_ratio=ratio,
                    use_polygon=use_polygon,
                )
                for thresh in (20, 30, 40, 50)
                for box_thresh in (30, 40, 50, 60)
                for ratio in ratios
            ]
    inside = [point for point in points[1:] if is_inside(space, _values(point, space))]
    return list(dict.fromkeys([current, *inside]))


def _values(point: Thresholds, space: dict[str, Dimension]) -> dict[str, Any]:
    return {name: getattr(point, name) for name in space}


def _sampler(tune: TuneConfig, seed: int) -> BaseSampler:
    if tune.method == "random":
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed, multivariate=True)


def _known(tried: dict[Thresholds, PRH], space: dict[str, Dimension]) -> list[optuna.trial.FrozenTrial]:
    """What was tried already, as trials for TPE to learn from; points outside the space are left out."""
    known = distributions(space)
    rows = [(_values(entry, space), scores.hmean) for entry, scores in tried.items()]
    return [
        create_trial(params=params, distributions=known, value=score)
        for params, score in rows
        if is_inside(space, params)
    ]
