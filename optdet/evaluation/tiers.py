"""Candidates in tiers: what their scores on the same images cannot tell apart is not put in an order.

A tier holds everything that is not surely worse than the best of what is left. "Surely" is the 95 % interval
of a paired bootstrap over the images that both were scored on: it excludes 0.

Cross-fitted values are compared with one another, and the others with one another: what was chosen on the
images that it is scored on looks better than it is. So a tier has the best of both kinds side by side.
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

    The value of a choice that was made on the same images is lower than their mean where it ``is_crossfit``.
    """

    name: str
    value: float
    hmeans: Mapping[int, float]
    is_crossfit: bool = False


@dataclass(frozen=True, slots=True)
class Tier:
    """Candidates, the best first: cross-fitted ones by value, then the others. ``n_images`` are the fewest on
    which one was compared with the best of its kind, 0 where one shares no image with it, and None where no
    two are of a kind."""

    members: tuple[Candidate, ...]
    n_images: int | None

    @property
    def n_crossfit(self) -> int:
        return sum(member.is_crossfit for member in self.members)


def tiers(candidates: Sequence[Candidate]) -> list[Tier]:
    """The best tier first; each begins with the best of those that are left."""
    left = sorted(candidates, key=lambda each: (not each.is_crossfit, -each.value, each.name))
    found = []
    while left:
        best = {each.is_crossfit: each for each in reversed(left)}  # of each kind the first
        worse = [is_worse(each, best[each.is_crossfit]) for each in left]
        alike = [each for each, surely in zip(left, worse, strict=True) if not surely]
        shared = [
            len(best[each.is_crossfit].hmeans.keys() & each.hmeans.keys())
            for each in alike
            if each is not best[each.is_crossfit]
        ]
        found.append(Tier(tuple(alike), min(shared, default=None)))
        left = [each for each, surely in zip(left, worse, strict=True) if surely]
    return found


def is_worse(candidate: Candidate, best: Candidate) -> bool:
    """Whether the interval of their difference excludes 0, and still does with its middle moved to the
    difference of the values: two choices that were made on these images flatter themselves unequally. Never
    where one is cross-fitted and the other is not.
    """
    if candidate.is_crossfit != best.is_crossfit:
        return False
    shared = sorted(candidate.hmeans.keys() & best.hmeans.keys())
    if len(shared) < MIN_IMAGES:
        return False
    own, others = (np.array([each.hmeans[key] for key in shared]) for each in (candidate, best))
    difference = paired_difference(own, others)
    moved = candidate.value - best.value - difference.mean
    return difference.high < 0 and difference.high + moved < 0
