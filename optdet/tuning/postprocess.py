"""Thresholds of any source, tuned on labelled images and set beside those that it has: what
``optdet postprocess tune`` shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from optdet.config import PostprocessConfig
from optdet.errors import OptdetError
from optdet.evaluation.constraint import Constraint
from optdet.evaluation.evaluate import Evaluation, summarize
from optdet.evaluation.landscape import Landscape, detections_by_image
from optdet.evaluation.scorer import ImageScorer
from optdet.evaluation.selection import Select
from optdet.evaluation.truth import ImageCounts
from optdet.metrics.scores import PRH
from optdet.structures import Metric, Thresholds
from optdet.tuning.task import OnTrial, TuningTask
from optdet.tuning.thresholds import tune_thresholds
from optdet.tuning.tried import Tuned


@dataclass(frozen=True, slots=True)
class Entry:
    """One configuration with all its scores. ``metric`` is the one that was tuned for. ``crossfit`` is that
    of the rule that chose it, ``at_bounds`` the axes at whose end it lies; a configuration that was given
    has neither."""

    name: str
    thresholds: Thresholds
    evaluation: Evaluation
    n_boxes: int
    metric: Metric
    crossfit: float | None = None
    at_bounds: tuple[str, ...] = ()

    @property
    def macro(self) -> PRH:
        """Its scores in the metric that was tuned for."""
        return self.evaluation.scores.of(self.metric).macro

    def interval(self) -> tuple[float, float]:
        """95 % bootstrap interval of the H-mean of ``macro``."""
        return self.evaluation.interval(self.metric)

    def as_json(self) -> dict[str, Any]:
        """The contract of ``postprocess tune --json``: scores as ``evaluate --json`` names them."""
        return {
            "thresholds": self.thresholds.as_dict(),
            **self.evaluation.scores.as_json(),
            "interval": list(self.interval()),
            "boxes": self.n_boxes,
            "hmean_crossfit": self.crossfit,
            "at_bounds": list(self.at_bounds),
        }


@dataclass(frozen=True, slots=True)
class PostprocessReport:
    """The table: default, current, best, robust, then the candidates; and the landscapes behind it.

    ``metric`` is what was tuned for, ``selected`` names the entry that the command recommends: that of the
    rule, or ``current`` where it scores higher, lies in the space and keeps the constraint.
    """

    title: str
    metric: Metric
    n_images: int
    n_configurations: int
    entries: tuple[Entry, ...]
    candidates: tuple[Entry, ...]
    rule: Select
    selected: str
    constraint: Constraint | None
    tuned: Tuned

    def entry(self, name: str) -> Entry:
        return next(entry for entry in self.entries if entry.name == name)

    @property
    def landscapes(self) -> tuple[Landscape, ...]:
        return self.tuned.landscapes

    def as_json(self) -> dict[str, Any]:
        return {
            "source": self.title,
            "metric": self.metric,
            "images": self.n_images,
            "configurations": self.n_configurations,
            "selected": self.selected,
            "constraint": None if self.constraint is None else str(self.constraint),
            **{entry.name: entry.as_json() for entry in self.entries},
            "candidates": {entry.name: entry.as_json() for entry in self.candidates},
        }


class Find(Protocol):
    """What finds the thresholds: :func:`tune_thresholds`, or one that keeps its trials."""

    def __call__(self, task: TuningTask, *, workers: int, on_trial: OnTrial | None) -> Tuned: ...


def tune_postprocess(
    title: str,
    task: TuningTask,
    *,
    workers: int = 1,
    on_trial: OnTrial | None = None,
    find: Find = tune_thresholds,
) -> PostprocessReport:
    """Tune by ``find``, and score what is named. OptdetError where no thresholds keep the constraint."""
    if task.constraint is not None and task.search.method != "exhaustive":
        raise OptdetError(
            "a constraint needs the whole landscape", where="--constraint", fix="set method=exhaustive"
        )
    tuned = find(task, workers=workers, on_trial=on_trial)
    current, candidates = task.current, task.candidates
    default = replace(PostprocessConfig().thresholds(), min_side=current.min_side)
    named = {"default": default, "current": current}
    named |= {name: choice.thresholds for name, choice in tuned.choices.items()}
    points = tuple(dict.fromkeys((*named.values(), *candidates.values())))
    scored = _scored(task.scorers, tuned.landscapes, points)

    def entry(name: str, thresholds: Thresholds) -> Entry:
        return Entry(name, thresholds, *scored[thresholds], task.metric)

    entries = [entry("default", default), entry("current", current)]
    for name, choice in tuned.choices.items():
        entries.append(
            replace(entry(name, choice.thresholds), crossfit=choice.crossfit, at_bounds=choice.at_bounds)
        )
    by_rule = next(each for each in entries if each.name == task.search.select)
    keeps = entries[1].macro.hmean > by_rule.macro.hmean and _may_stay(entries[1], task)
    return PostprocessReport(
        title=title,
        metric=task.metric,
        n_images=len(task.scorers),
        n_configurations=sum(len(found.lattice) for found in tuned.landscapes) or len(tuned.tried),
        entries=tuple(entries),
        candidates=tuple(entry(*candidate) for candidate in candidates.items()),
        rule=task.search.select,
        selected="current" if keeps else task.search.select,
        constraint=task.constraint,
        tuned=tuned,
    )


def _may_stay(current: Entry, task: TuningTask) -> bool:
    """Whether the thresholds in use are among those that were asked for."""
    if not task.search.space.holds(current.thresholds):
        return False
    bound = task.constraint
    if bound is None:
        return True
    value = current.n_boxes if bound.metric == "boxes" else getattr(current.macro, bound.metric)
    return bool(bound.allows(np.array(value)))


def _scored(
    scorers: Sequence[ImageScorer], landscapes: Sequence[Landscape], points: Sequence[Thresholds]
) -> dict[Thresholds, tuple[Evaluation, int]]:
    """Scores and number of boxes at each of the points, which are distinct."""
    counts: list[dict[str, ImageCounts]] = [{} for _ in points]
    n_boxes = [0] * len(points)
    for scorer, found in zip(scorers, detections_by_image(scorers, landscapes, points), strict=True):
        for index, detections in enumerate(found):
            counts[index][scorer.name] = scorer.truth.counts(detections.polygons)
            n_boxes[index] += len(detections)
    return {
        point: (summarize(of_point), n) for point, of_point, n in zip(points, counts, n_boxes, strict=True)
    }


def standard_error(entry: Entry) -> float | None:
    """Of the macro H-mean over images; None for a single image."""
    hmeans = entry.evaluation.hmeans_of(entry.metric)
    return float(np.std(hmeans, ddof=1) / np.sqrt(len(hmeans))) if len(hmeans) > 1 else None
