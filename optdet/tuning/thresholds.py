"""The inner loop: thresholds of a frozen detector, tuned on its probability maps.

First a fixed set (those in use, the defaults, a coarse lattice), then an Optuna study in memory (TPE) that
knows them. The result depends on the maps, the words and the seed alone, so a trial that was killed here and
starts again ends with the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import create_trial

from optdet.config import Dimension, PostprocessConfig, TuneConfig
from optdet.config_io import parse_override, validate
from optdet.errors import OptdetError
from optdet.evaluation.lattice import ImageScorer, best_of, coarse_lattice, crossfit, macro_scores
from optdet.metrics.scores import PRH
from optdet.structures import Thresholds
from optdet.tuning.space import distributions, is_inside, suggest

OnTrial = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Tried:
    """One configuration and its competition macro scores."""

    thresholds: Thresholds
    scores: PRH


@dataclass(frozen=True, slots=True)
class Tuned:
    """All that was tried, in order, and the best of it (the first of equals)."""

    tried: tuple[Tried, ...]

    @property
    def best(self) -> Tried:
        return max(self.tried, key=lambda entry: entry.scores.hmean)


def tune_thresholds(
    scorers: Sequence[ImageScorer],
    tune: TuneConfig,
    current: Thresholds,
    *,
    seed: int,
    on_trial: OnTrial | None = None,
) -> Tuned:
    """Tune on all of ``scorers``; ``on_trial(done, total)`` is called after each configuration."""
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
    return Tuned(tuple(Tried(thresholds, scores) for thresholds, scores in tried.items()))


def crossfit_hmean(scorers: Sequence[ImageScorer], tuned: Tuned) -> float | None:
    """The design's ``hmean_crossfit``: of all that was tried, the best on 4/5 of the images scores the rest.

    The candidates are those of the whole search, the choice among them is made without the scored images.
    """
    candidates = [entry.thresholds for entry in tuned.tried]
    return crossfit(scorers, lambda part: best_of(part, candidates).thresholds)


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
    """What is always tried: current, the defaults, a lattice of quads, and one of polygons if searched."""
    usual = PostprocessConfig().thresholds()
    points = [current, replace(usual, min_side=current.min_side)]
    for use_polygon in (False, True):
        start = replace(current, use_polygon=use_polygon)
        if use_polygon == current.use_polygon or is_inside(space, {"use_polygon": use_polygon}):
            points += [
                point
                for point in coarse_lattice(start)[1:]
                if point.use_polygon == current.use_polygon or point.unclip_ratio == 2.0
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
