"""The inner loop: thresholds of a frozen detector, tuned on its probability maps.

``exhaustive`` sweeps the whole lattice; ``tpe`` and ``random`` try a fixed set (those in use, named
candidates, the defaults, a few dozen usual points) and then what an Optuna study that knows them suggests;
``none`` keeps those in use.
Here everything is in memory, and a kill loses its seconds. The result depends on the maps, the words and the
seed alone, so what was killed and starts again ends with the same; ``postprocess_study`` keeps the trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from optdet.config import PostprocessConfig
from optdet.config_io import parse_override
from optdet.errors import OptdetError
from optdet.evaluation.landscape import Landscape, SweepImage, detections_by_image
from optdet.evaluation.selection import RULES, Chosen, Select, choose, crossfit
from optdet.evaluation.sweep import sweep
from optdet.metrics.scores import PRH, macro
from optdet.structures import Detections, OnImage, Thresholds
from optdet.tuning.sweep_space import lattices, limits
from optdet.tuning.task import OnTrial, TuningTask
from optdet.tuning.tried import Choice, Tried, Tuned
from optdet.validation import validate


def tune_thresholds(task: TuningTask, *, workers: int = 1, on_trial: OnTrial | None = None) -> Tuned:
    """Tune; ``workers`` are threads of a sweep. OptdetError where nothing keeps the task's constraint."""
    if task.search.method == "exhaustive":
        return _exhaustive(task, workers, on_trial)
    # Not above: a sweep needs no Optuna, which takes half a second to import.
    from optdet.tuning.threshold_search import search_thresholds

    return search_thresholds(task, on_trial)


def _exhaustive(task: TuningTask, workers: int, on_trial: OnTrial | None) -> Tuned:
    images = [SweepImage.of(scorer) for scorer in task.scorers]
    swept = lattices(task.search, task.current)
    found = tuple(
        sweep(
            images,
            lattice,
            metric=task.metric,
            workers=workers,
            constraint=task.constraint,
            on_image=None if on_trial is None else _counted_on(on_trial, number, len(swept)),
        )
        for number, lattice in enumerate(swept)
    )
    choices = {select: _choice(task, found, select) for select in RULES}
    usual = replace(PostprocessConfig().thresholds(), min_side=task.current.min_side)
    chosen = [choice.thresholds for choice in choices.values()]
    named = dict.fromkeys((task.current, *task.candidates.values(), usual, *chosen))
    tried = _scores_at(task, found, tuple(named))
    for landscape in found:
        for thresholds, scores in landscape.spread():
            tried.setdefault(thresholds, scores)
    return Tuned(
        tried=tuple(Tried(thresholds, scores) for thresholds, scores in tried.items()),
        choices=choices,
        select=task.search.select,
        landscapes=found,
    )


def _counted_on(on_trial: OnTrial, number: int, n_sweeps: int) -> OnImage:
    """One count over all sweeps, quads and polygons: each goes over all images."""
    return lambda done, total: on_trial(number * total + done, n_sweeps * total)


def _choice(task: TuningTask, landscapes: Sequence[Landscape], select: Select) -> Choice:
    chosen = _keep_limit(choose(landscapes, select), task, landscapes)
    return Choice(chosen.thresholds, crossfit(landscapes, select), chosen.at_bounds)


def _keep_limit(chosen: Chosen, task: TuningTask, landscapes: Sequence[Landscape]) -> Chosen:
    """The choice with the max_candidates in use, where that was swept and detects the very same.

    Of equal points the first is chosen, which has the least: a change that changes nothing is none.
    """
    same = replace(chosen.thresholds, max_candidates=task.current.max_candidates)
    of = next(found for found in landscapes if found.lattice.use_polygon == same.use_polygon)
    if same == chosen.thresholds or same.max_candidates not in limits(task.search, task.current):
        return chosen
    equal = all(
        _are_equal(of.detect(image, chosen.thresholds), of.detect(image, same))
        for image in range(len(of.names))
    )
    return replace(chosen, thresholds=same) if equal else chosen


def _are_equal(one: Detections | None, other: Detections | None) -> bool:
    if one is None or other is None:
        return False
    return len(one) == len(other) and all(map(np.array_equal, one.polygons, other.polygons))


def _scores_at(
    task: TuningTask, landscapes: Sequence[Landscape], points: Sequence[Thresholds]
) -> dict[Thresholds, PRH]:
    found = detections_by_image(task.scorers, landscapes, points)
    counts = [
        [scorer.truth.counts_of(task.metric, detections.polygons) for detections in of_image]
        for scorer, of_image in zip(task.scorers, found, strict=True)
    ]
    return {point: macro(of_point) for point, of_point in zip(points, zip(*counts, strict=True), strict=True)}


def replace_thresholds(thresholds: Thresholds, changes: Sequence[str]) -> Thresholds:
    """Thresholds with ``name=value`` texts applied; OptdetError for what is not one, or outside its range."""
    values = thresholds.as_dict()
    for change in changes:
        if "=" not in change:
            raise OptdetError(
                f"{change!r} is no threshold", where="--threshold", fix="write name=value, as thresh=0.24"
            )
        name, value = parse_override(change)
        if name not in values:
            raise OptdetError(
                f"no threshold is named {name!r}", where=change, fix=f"they are {', '.join(values)}"
            )
        validate(PostprocessConfig, {name: value}, change)
        values[name] = value
    return Thresholds.from_dict(values)
