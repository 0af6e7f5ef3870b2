"""Thresholds of any source, tuned on labelled images and set beside those that it has: what
``optdet postprocess tune`` shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from optdet.config import PostprocessConfig, TuneConfig
from optdet.errors import OptdetError
from optdet.evaluation.evaluate import Evaluation, summarize
from optdet.evaluation.landscape import Landscape, detections_at
from optdet.evaluation.scorer import ImageScorer
from optdet.evaluation.selection import Constraint, choose, crossfit
from optdet.structures import Thresholds
from optdet.tuning.thresholds import tune_thresholds
from optdet.tuning.tried import Tuned

OnTrial = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Entry:
    """One configuration with all its scores. ``crossfit`` is that of the rule that chose it, ``at_bounds``
    the axes at whose end it lies; a configuration that was given has neither."""

    name: str
    thresholds: Thresholds
    evaluation: Evaluation
    n_boxes: int
    crossfit: float | None = None
    at_bounds: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The contract of ``postprocess tune --json``: scores as ``evaluate --json`` names them."""
        return {
            "thresholds": self.thresholds.as_dict(),
            **self.evaluation.scores.as_json(),
            "interval": list(self.evaluation.interval()),
            "boxes": self.n_boxes,
            "hmean_crossfit": self.crossfit,
            "at_bounds": list(self.at_bounds),
        }


@dataclass(frozen=True, slots=True)
class PostprocessReport:
    """The table: default, current, best, robust, then the candidates; and the landscapes behind it.

    ``selected`` names the entry that the command recommends.
    """

    title: str
    n_images: int
    n_configurations: int
    entries: tuple[Entry, ...]
    candidates: tuple[Entry, ...]
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
            "images": self.n_images,
            "configurations": self.n_configurations,
            "selected": self.selected,
            "constraint": None if self.constraint is None else str(self.constraint),
            **{entry.name: entry.as_json() for entry in self.entries},
            "candidates": {entry.name: entry.as_json() for entry in self.candidates},
        }


class Find(Protocol):
    """What finds the thresholds: :func:`tune_thresholds`, or one that keeps its trials."""

    def __call__(
        self,
        scorers: Sequence[ImageScorer],
        tune: TuneConfig,
        current: Thresholds,
        *,
        seed: int,
        workers: int,
        on_trial: OnTrial | None,
        candidates: Mapping[str, Thresholds] | None,
    ) -> Tuned: ...


def tune_postprocess(
    title: str,
    scorers: Sequence[ImageScorer],
    tune: TuneConfig,
    current: Thresholds,
    *,
    candidates: Mapping[str, Thresholds] | None = None,
    constraint: Constraint | None = None,
    seed: int = 0,
    workers: int = 1,
    on_trial: OnTrial | None = None,
    find: Find = tune_thresholds,
) -> PostprocessReport:
    """Tune by ``find``, and score what is named. OptdetError where no thresholds keep the constraint."""
    if constraint is not None and tune.method != "exhaustive":
        raise OptdetError(
            "a constraint needs the whole landscape", where="--constraint", fix="set method=exhaustive"
        )
    tuned = find(scorers, tune, current, seed=seed, workers=workers, on_trial=on_trial, candidates=candidates)
    default = replace(PostprocessConfig().thresholds(), min_side=current.min_side)
    usual = _entry("default", default, scorers, tuned.landscapes)
    in_use = usual if current == default else _entry("current", current, scorers, tuned.landscapes)
    entries = [usual, replace(in_use, name="current")]
    if tuned.landscapes:
        for name in ("best", "robust"):
            chosen = choose(tuned.landscapes, name, constraint)
            entry = _entry(name, chosen.thresholds, scorers, tuned.landscapes)
            # Cross-fitting knows no constraint: where there is one, its score would be another choice's.
            worth = None
            if constraint is None:
                worth = tuned.crossfit if name == tune.select else crossfit(tuned.landscapes, name)
            entries.append(replace(entry, crossfit=worth, at_bounds=chosen.at_bounds))
    else:
        entries += [
            _entry("best", tuned.best.thresholds, scorers, ()),
            replace(_entry("robust", tuned.chosen.thresholds, scorers, ()), crossfit=tuned.crossfit),
        ]
    return PostprocessReport(
        title=title,
        n_images=len(scorers),
        n_configurations=sum(len(found.lattice) for found in tuned.landscapes) or len(tuned.tried),
        entries=tuple(entries),
        candidates=tuple(
            _entry(name, thresholds, scorers, tuned.landscapes)
            for name, thresholds in (candidates or {}).items()
        ),
        selected=tune.select,
        constraint=constraint,
        tuned=tuned,
    )


def _entry(
    name: str, thresholds: Thresholds, scorers: Sequence[ImageScorer], landscapes: Sequence[Landscape]
) -> Entry:
    found = detections_at(scorers, landscapes, thresholds)
    counts = {
        scorer.name: scorer.truth.counts(detections.polygons)
        for scorer, detections in zip(scorers, found, strict=True)
    }
    return Entry(name, thresholds, summarize(counts), sum(map(len, found)))


def standard_error(entry: Entry) -> float | None:
    """Of the macro H-mean over images; None for a single image."""
    hmeans = entry.evaluation.hmeans
    return float(np.std(hmeans, ddof=1) / np.sqrt(len(hmeans))) if len(hmeans) > 1 else None
