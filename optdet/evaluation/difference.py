"""One score of A and of B on the same images, and how far their difference can be trusted.

A difference is always B - A: above 0, B is better. Its interval is the 95 % paired bootstrap over images:
both are scored on the same draws, so that images which are hard for both do not widen it, nor its standard
error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from optdet.metrics.bootstrap import PairedDifference, paired_difference, paired_difference_of_sums
from optdet.structures import FloatArray


@dataclass(frozen=True, slots=True)
class Difference:
    """The scores, 0..1, the standard error and the interval of B - A, and the share of resamples in which it
    is above 0.
    """

    a: float
    b: float
    standard_error: float
    interval: tuple[float, float]
    p_positive: float

    @property
    def difference(self) -> float:
        return self.b - self.a

    def as_json(self) -> dict[str, Any]:
        return {
            "a": self.a,
            "b": self.b,
            "difference": self.difference,
            "standard_error": self.standard_error,
            "interval": list(self.interval),
            "p_positive": self.p_positive,
        }


def difference_of_means(a: FloatArray, b: FloatArray) -> Difference:
    """Of the mean over images of scores (n,), n at least 1."""
    # fsum is exact, as where a macro score is made: A and B here are what `evaluate` says of them.
    mean_a, mean_b = math.fsum(a.tolist()) / len(a), math.fsum(b.tolist()) / len(b)
    return _difference(mean_a, mean_b, paired_difference(b, a))


def difference_of_sums(a: FloatArray, b: FloatArray, score: Callable[[FloatArray], FloatArray]) -> Difference:
    """Of a score of counts (n, k) summed over images; ``score`` maps sums (r, k) to scores (r,)."""
    of_a, of_b = (float(score(counts.sum(axis=0)[None])[0]) for counts in (a, b))
    return _difference(of_a, of_b, paired_difference_of_sums(b, a, score))


def _difference(a: float, b: float, paired: PairedDifference) -> Difference:
    return Difference(a, b, paired.standard_error, (paired.low, paired.high), paired.p_positive)
