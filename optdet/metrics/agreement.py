"""How nearly two sets of polygons are the same: the panoptic quality of one against the other.

Kirillov et al., 2019, "Panoptic segmentation": the IoUs of the pairs that overlap by more than half, over the
mean number of polygons of the two. So a polygon that only one has costs as much as an H-mean would count it,
and one that both have costs what it lacks in overlap: two files that differ in ``unclip_ratio`` alone find
the same words, and do not agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from optdet.metrics.overlaps import DECIMALS, Shapes, ious_of, pairs_that_may_reach
from optdet.metrics.rings import Index, read_polygons
from optdet.structures import FloatArray

MIN_IOU: Final = 0.5


def agreement(first: Sequence[ArrayLike], second: Sequence[ArrayLike]) -> float:
    """0..1, the same whichever comes first; 1 where both are empty. Polygons are flat or (N, 2).

    Polygons that are equal, point by point, belong to each other; the others are paired one to one so that
    the sum of their IoUs is highest. ValueError for NaN and fewer than 3 points.
    """
    n_polygons = len(first) + len(second)
    if not n_polygons:
        return 1.0
    one, two = read_polygons(first, "polygon"), read_polygons(second, "polygon")
    n_equal, one, two = _without_equals(one, two)
    return 2 * (n_equal + _paired_ious(one, two)) / n_polygons


def _without_equals(
    one: list[FloatArray], two: list[FloatArray]
) -> tuple[int, list[FloatArray], list[FloatArray]]:
    """How many pairs are equal, and what either has beside them."""
    common = Counter(polygon.tobytes() for polygon in one) & Counter(polygon.tobytes() for polygon in two)

    def others(polygons: list[FloatArray]) -> list[FloatArray]:
        left, rest = Counter(common), []
        for polygon in polygons:
            key = polygon.tobytes()
            if left[key]:
                left[key] -= 1
            else:
                rest.append(polygon)
        return rest

    return common.total(), others(one), others(two)


def _paired_ious(one: list[FloatArray], two: list[FloatArray]) -> float:
    if not one or not two:
        return 0.0
    rows, columns, ious = _overlapping(one, two)
    if len(np.unique(rows)) == len(rows) and len(np.unique(columns)) == len(columns):
        return float(np.sort(ious).sum())  # as a rule: no polygon has two partners
    from scipy.optimize import linear_sum_assignment  # seldom needed, and slow to import

    matrix = np.zeros((len(one), len(two)))
    matrix[rows, columns] = ious
    chosen = linear_sum_assignment(matrix, maximize=True)
    return float(np.sort(matrix[chosen]).sum())


def _overlapping(one: list[FloatArray], two: list[FloatArray]) -> tuple[Index, Index, FloatArray]:
    """Pairs with an IoU above one half: indices of both, and the IoUs."""
    first, second = Shapes.of(one), Shapes.of(two)
    found = pairs_that_may_reach(first, second, MIN_IOU)
    # Else the last bits, which depend on which of the two comes first, would decide at exactly one half.
    ious = np.round(ious_of(first, second, found), DECIMALS)
    above = ious > MIN_IOU
    rows, columns = found.pairs[above].T
    return rows, columns, ious[above]
