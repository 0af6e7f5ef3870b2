"""The inner loop: thresholds of a frozen detector, tuned on its probability maps.

``exhaustive`` sweeps the whole lattice; ``tpe`` and ``random`` try a fixed set (those in use, named
candidates, the defaults, a few dozen usual points) and then what an Optuna study that knows them suggests;
``none`` keeps those in use.
Here everything is in memory, and a kill loses its seconds. The result depends on the maps, the words and the
seed alone, so what was killed and starts again ends with the same; ``postprocess_study`` keeps the trials.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from optdet.config import PostprocessConfig, TuneConfig
from optdet.config_io import parse_override, validate
from optdet.errors import OptdetError
from optdet.evaluation.constraint import Constraint
from optdet.evaluation.landscape import Landscape, SweepImage, detections_by_image
from optdet.evaluation.scorer import ImageScorer
from optdet.evaluation.selection import Chosen, choose, crossfit
from optdet.evaluation.sweep import sweep
from optdet.metrics.scores import PRH, macro
from optdet.structures import Detections, Metric, Thresholds
from optdet.tuning.sweep_space import lattices, limits
from optdet.tuning.tried import Tried, Tuned

OnTrial = Callable[[int, int], None]


def tune_thresholds(
    scorers: Sequence[ImageScorer],
    tune: TuneConfig,
    current: Thresholds,
    *,
    seed: int,
    metric: Metric = "competition",
    workers: int = 1,
    on_trial: OnTrial | None = None,
    candidates: Mapping[str, Thresholds] | None = None,
    constraint: Constraint | None = None,
) -> Tuned:
    """Tune on all of ``scorers``; ``on_trial(done, total)`` is called after each configuration, or image.

    ``candidates`` are tried as well; those outside the space are not chosen. A ``constraint``, which only
    ``exhaustive`` takes, bounds the choice: OptdetError where nothing keeps it.
    """
    if tune.method == "exhaustive":
        named = (candidates or {}).values()
        return _exhaustive(scorers, tune, current, metric, workers, on_trial, named, constraint)
    # Not above: a sweep needs no Optuna, which takes half a second to import.
    from optdet.tuning.threshold_search import search_thresholds

    return search_thresholds(scorers, tune, current, seed, on_trial, candidates, metric)


def _exhaustive(
    scorers: Sequence[ImageScorer],
    tune: TuneConfig,
    current: Thresholds,
    metric: Metric,
    workers: int,
    on_trial: OnTrial | None,
    candidates: Iterable[Thresholds],
    constraint: Constraint | None,
) -> Tuned:
    images = [SweepImage.of(scorer) for scorer in scorers]
    found = tuple(
        sweep(images, lattice, metric=metric, workers=workers, constraint=constraint, on_image=on_trial)
        for lattice in lattices(tune, current)
    )
    choice = keep_limit(choose(found, tune.select), current, tune, found)
    best = keep_limit(choose(found, "best"), current, tune, found).thresholds
    usual = replace(PostprocessConfig().thresholds(), min_side=current.min_side)
    named = dict.fromkeys((current, *candidates, usual, best, choice.thresholds))
    tried = _scores_at(scorers, found, tuple(named), metric)
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


def keep_limit(
    chosen: Chosen, current: Thresholds, tune: TuneConfig, landscapes: Sequence[Landscape]
) -> Chosen:
    """The choice with the max_candidates in use, where that was swept and detects the very same.

    Of equal points the first is chosen, which has the least: a change that changes nothing is none.
    """
    same = replace(chosen.thresholds, max_candidates=current.max_candidates)
    of = next(found for found in landscapes if found.lattice.use_polygon == same.use_polygon)
    if same == chosen.thresholds or same.max_candidates not in limits(tune, current):
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
    scorers: Sequence[ImageScorer],
    landscapes: Sequence[Landscape],
    points: Sequence[Thresholds],
    metric: Metric,
) -> dict[Thresholds, PRH]:
    counts = [
        [scorer.truth.counts_of(metric, detections.polygons) for detections in found]
        for scorer, found in zip(scorers, detections_by_image(scorers, landscapes, points), strict=True)
    ]
    return {point: macro(of_point) for point, of_point in zip(points, zip(*counts, strict=True), strict=True)}


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
