"""What threshold tuning is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from optdet.config import TuneConfig
from optdet.evaluation.constraint import Constraint
from optdet.evaluation.scorer import ImageScorer
from optdet.structures import Metric, Thresholds

OnTrial = Callable[[int, int], None]
"""Called with the configurations, or images, done and the number of them all."""


@dataclass(frozen=True, slots=True, eq=False)
class TuningTask:
    """Images to tune on, how to search, and the ``current`` thresholds.

    ``candidates`` are tried as well, by name; those outside the space are not chosen. A ``constraint``, which
    only ``exhaustive`` takes, bounds the choice. ``seed`` is that of ``tpe`` and ``random``.
    """

    scorers: Sequence[ImageScorer]
    search: TuneConfig
    current: Thresholds
    seed: int = 0
    metric: Metric = "competition"
    candidates: Mapping[str, Thresholds] = field(default_factory=dict)
    constraint: Constraint | None = None
