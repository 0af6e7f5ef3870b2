"""Whether two scores put the same things in the same order: Spearman's rho and Kendall's tau-b."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

MIN_PAIRS: Final = 3
"""Of two pairs both are 1 or -1, whatever the scores: that says nothing."""


@dataclass(frozen=True, slots=True)
class RankCorrelation:
    """Of ``n`` pairs, -1..1; None where they are not defined: too few pairs, or all of one score equal."""

    n: int
    spearman: float | None
    kendall: float | None

    def as_json(self) -> dict[str, Any]:
        return {"n": self.n, "spearman": self.spearman, "kendall": self.kendall}


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> RankCorrelation:
    """Scores of the same things, in the same order. ValueError for different numbers of them."""
    if len(a) != len(b):
        raise ValueError(f"a and b must score the same things, got {len(a)} and {len(b)}")
    if len(a) < MIN_PAIRS or np.ptp(a) == 0 or np.ptp(b) == 0:
        return RankCorrelation(len(a), None, None)
    # Not above: it takes a third of a second, and whoever compares nothing needs none of it.
    from scipy import stats

    return RankCorrelation(
        len(a), float(stats.spearmanr(a, b).statistic), float(stats.kendalltau(a, b).statistic)
    )
