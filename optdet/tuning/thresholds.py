"""The inner loop: thresholds of a frozen detector, tuned on its probability maps.

``exhaustive`` sweeps the whole lattice; ``tpe`` and ``random`` try a fixed set (those in use, the defaults,
a few dozen usual points) and then an Optuna study in memory that knows them. The result depends on the
maps, the words and the seed alone, so a trial that was killed here and starts again ends with the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import create_trial

from optdet.config import Dimension, PostprocessConfig, TuneConfig
from optdet.config_io import parse_override, validate
from optdet.errors import OptdetError
from optdet.evaluation.landscape import Landscape, SweepImage, detections_at
from optdet.evaluation.scorer import ImageScorer, hmeans, macro_scores, part_of
from optdet.evaluation.selection import Select, choose, crossfit, smoothed_points
from optdet.evaluation.sweep import sweep
from optdet.metrics.scores import PRH, aggregate
from optdet.structures import FloatArray, Thresholds
from optdet.tuning.space import distributions, is_inside, suggest
from optdet.tuning.sweep_space import lattices

OnTrial = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Tried:
    """One configuration and its competition macro scores."""

    thresholds: Thresholds
    scores: PRH


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was tried, in order; the ``chosen`` one; and what its choice is worth on images left out of it.

    ``at_bounds``: axes at whose end the choice lies. ``landscapes``: the whole sweeps of ``exhaustive``.
    """

    tried: tuple[Tried, ...]
    chosen: Tried
    crossfit: float | None
    at_bounds: tuple[str, ...] = ()
    landscapes: tuple[Landscape, ...] = ()

    @property
    def best(self) -> Tried:
        """The highest of all that was tried, the first of equals."""
        return max(self.tried, key=lambda entry: entry.scores.hmean)


def tune_thresholds(
    scorers: Sequence[ImageScorer],
    tune: TuneConfig,
    current: Thresholds,
    *,
    seed: int,
    workers: int = 1,
    on_trial: OnTrial | None = None,
) -> Tuned:
    """Tune on all of ``scorers``; ``on_trial(done, total)`` is called after each configuration, or image."""
    if tune.method == "exhaustive":
        return _exhaustive(scorers, tune, current, workers, on_trial)
    return _searched(scorers, tune, current, seed, on_trial)


def _exhaustive(
    scorers: Sequence[ImageScorer],
    tune: TuneConfig,
    current: Thresholds,
    workers: int,
    on_trial: OnTrial | None,
) -> Tuned:
    images = [SweepImage.of(scorer) for scorer in scorers]
    found = tuple(
        sweep(images, lattice, workers=workers, on_image=on_trial)
        for lattice in lattices(tune, current.min_side)
    )
    choice = choose(found, tune.select)
    best = choose(found, "best").thresholds
    usual = replace(PostprocessConfig().thresholds(), min_side=current.min_side)
    named = dict.fromkeys((current, usual, best, choice.thresholds))
    tried = {thresholds: _scores_at(scorers, found, thresholds) for thresholds in named}
    chosen = Tried(choice.thresholds, tried[choice.thresholds])
    for landscape in found:
        for thresholds, scores in landscape.spread():
            tried.setdefault(thresholds, scores)
    return Tuned(
        tried=tuple(Tried(thresholds, scores) for thresholds, scores in tried.items()),
        chosen=chosen,
        crossfit=crossfit(found, tune.select),
        at_bounds=choice.at_bounds,
        landscapes=found,
    )


def _scores_at(
    scorers: Sequence[ImageScorer], landscapes: Sequence[Landscape], thresholds: Thresholds
) -> PRH:
    found = detections_at(scorers, landscapes, thresholds)
    return aggregate(
        [
            scorer.truth.cleval(detections.polygons, "competition")
            for scorer, detections in zip(scorers, found, strict=True)
        ]
    ).macro


def _searched(
    scorers: Sequence[ImageScorer],
    tune: TuneConfig,
    current: Thresholds,
    seed: int,
    on_trial: OnTrial | None,
) -> Tuned:
    space = space_of(tune)
    tried = {thresholds: macro_scores(scorers, thresholds) for thresholds in fixed_points(current, space)}
    if tune.method != "none":
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


def replace_thresholds(thresholds: Thresholds, changes: Sequence[str]) -> Thresholds:
    """Thresholds with ``name=value`` texts applied; OptdetError for what is not one, or outside its range."""
    values = thresholds.as_dict()
    for change in changes:
        name, value = parse_override(change)
        if name not in values:
            raise OptdetError(
                f"no threshold is named {name!r}", where=change, fix=f"they are {', '.join(values)}"
            )
        validate(PostprocessConfig, {name: value}, change)
        values[name] = value
    return Thresholds.from_dict(values)


def space_of(tune: TuneConfig) -> dict[str, Dimension]:
    return {name: getattr(tune.space, name) for name in type(tune.space).model_fields}


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
    """What is always tried: current, the defaults, usual points of quads, and of polygons if they are
    searched."""
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
    return list(dict.fromkeys(points))


def _sampler(tune: TuneConfig, seed: int) -> BaseSampler:
    if tune.method == "random":
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed, multivariate=True)


def _known(tried: dict[Thresholds, PRH], space: dict[str, Dimension]) -> list[optuna.trial.FrozenTrial]:
    """What was tried already, as trials for TPE to learn from; points outside the space are left out."""
    known = distributions(space)
    rows = [({name: getattr(entry, name) for name in space}, scores.hmean) for entry, scores in tried.items()]
    return [
        create_trial(params=params, distributions=known, value=score)
        for params, score in rows
        if is_inside(space, params)
    ]
