"""Candidates in tiers: what their scores on the same images cannot tell apart is not put in an order.

A tier holds everything that is not surely worse than the best of what is left. "Surely" is the 95 % interval
of a paired bootstrap over the images that both were scored on: it excludes 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from optdet.metrics.bootstrap import paired_difference

MIN_IMAGES: Final = 6
"""On fewer, all differences may have one sign by chance in more than 5 % of cases (2 / 2^n)."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """``value`` is what it is ranked by; ``hmeans`` are those of its images, whose mean may be another.

    The value of a choice that was made on the same images is cross-fitted, and lower than their mean.
    """

    name: str
    value: float
    hmeans: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Tier:
    """Candidates by value, the best first; ``n_images`` are the fewest on which one was compared with it, 0
    where one shares no image with it, and None for one alone."""

    members: tuple[Candidate, ...]
    n_images: int | None


def tiers(candidates: Sequence[Candidate]) -> list[Tier]:
    """The best tier first; each begins with the best of those that are left."""
    left = sorted(candidates, key=lambda candidate: (-candidate.value, candidate.name))
    found = []
    while left:
        best, *others = left
        worse = [is_worse(other, best) for other in others]
        alike = [other for other, surely in zip(others, worse, strict=True) if not surely]
        shared = [len(best.hmeans.keys() & other.hmeans.keys()) for other in alike]
        found.append(Tier((best, *alike), min(shared, default=None)))
        left = [other for other, surely in zip(others, worse, strict=True) if surely]
    return found


def is_worse(candidate: Candidate, best: Candidate) -> bool:
    """Whether the interval of their difference excludes 0, and still does with its middle moved to the
    difference of the values: two choices that were made on these images flatter themselves unequally.
    """
    shared = sorted(candidate.hmeans.keys() & best.hmeans.keys())
    if len(shared) < MIN_IMAGES:
        return False
    own, others = (np.array([each.hmeans[key] for key in shared]) for each in (candidate, best))
    difference = paired_difference(own, others)
    moved = candidate.value - best.value - difference.mean
    return difference.high < 0 and difference.high + moved < 0
