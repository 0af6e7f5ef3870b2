"""Precision, recall and H-mean: of one image, and over a set of images.

All values are 0..1. ``macro`` is the mean over images of P, of R and of H, each by itself: the macro H is
a mean of H-means and need not equal 2PR/(P+R). ``global`` applies the metric's formula once, to counts
summed over the images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from operator import add
from typing import Final, Protocol, Self, TypeVar

from optdet.structures import Metric


def hmean(precision: float, recall: float) -> float:
    """The harmonic mean, 0 where both are 0."""
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


class ImageScores(Protocol):
    """What every metric says of one image."""

    @property
    def precision(self) -> float: ...

    @property
    def recall(self) -> float: ...

    @property
    def hmean(self) -> float: ...


class Counts(ImageScores, Protocol):
    """What a metric counts on one image: it adds up, and knows its own scores."""

    def __add__(self, other: Self, /) -> Self: ...


C = TypeVar("C", bound=Counts)


@dataclass(frozen=True, slots=True)
class PRH:
    """Precision, recall and H-mean, 0..1."""

    precision: float
    recall: float
    hmean: float


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One metric over a set of images; ``global_`` is "global" in JSON, a keyword in Python."""

    macro: PRH
    global_: PRH

    def as_json(self) -> dict[str, dict[str, float]]:
        return {"macro": asdict(self.macro), "global": asdict(self.global_)}


METRIC_NAMES: Final[dict[Metric, str]] = {
    "competition": "CLEval competition",
    "official": "CLEval official",
    "iou": "IoU@0.5",
}
"""How texts and titles call them."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Everything that is reported about a set of images: both CLEval profiles and IoU at 0.5."""

    competition: Aggregate
    official: Aggregate
    iou: Aggregate

    def of(self, metric: Metric) -> Aggregate:
        found: Aggregate = getattr(self, metric)
        return found

    def as_json(self) -> dict[str, dict[str, dict[str, float]]]:
        return {
            "competition": self.competition.as_json(),
            "official": self.official.as_json(),
            "iou": self.iou.as_json(),
        }


def aggregate(per_image: Sequence[C]) -> Aggregate:
    """Both aggregations of one metric. Raises ValueError for no images: a mean over none is no score."""
    if not per_image:
        raise ValueError("no images to aggregate: scores need the counts of at least one image")
    total = reduce(add, per_image)
    return Aggregate(
        macro=macro(per_image),
        global_=PRH(precision=total.precision, recall=total.recall, hmean=total.hmean),
    )


def macro(per_image: Sequence[ImageScores]) -> PRH:
    """Means over at least one image."""
    return PRH(
        precision=_mean([counts.precision for counts in per_image]),
        recall=_mean([counts.recall for counts in per_image]),
        hmean=_mean([counts.hmean for counts in per_image]),
    )


def _mean(values: Sequence[float]) -> float:
    # fsum is exact, so the order of the images does not move the last digit.
    return math.fsum(values) / len(values)
