"""Which polygons overlap, of one list or of two, and by how much: the sparse half of a matrix of IoUs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from numpy.typing import ArrayLike

from optdet.metrics.clipping import all_convex_turns
from optdet.metrics.iou_pairs import find_overlaps
from optdet.metrics.rings import (
    Index,
    Regions,
    Rings,
    read_polygons,
    regions,
    ring_starts,
    shared_areas,
    stack_rings,
)
from optdet.structures import FloatArray

DECIMALS: Final = 9
"""IoUs are rounded to these: compiled areas are good to 1e-10, and what is equal shall be equal."""

_SLACK: Final = 1e-7
"""Of a share below which a pair is passed over: compiled areas are good to 1e-10."""


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """Pairs (n, 2) of indices i < j, ascending, and their intersection over union (n,), 0..1."""

    pairs: Index
    ious: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Shapes:
    """Polygons as rings, as regions (n,) and by their areas (n,)."""

    rings: Rings
    regions: Regions
    areas: FloatArray

    @classmethod
    def of(cls, polygons: Sequence[FloatArray]) -> Shapes:
        """ValueError for fewer than 3 points."""
        rings = stack_rings(polygons, "polygon")
        found = regions(rings)
        return cls(rings, found, np.asarray(shapely.area(found)))


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """Pairs (n, 2) of indices that may overlap, and the areas that they share (n,), NaN where not known."""

    pairs: Index
    areas: FloatArray


def pairs_that_may_reach(first: Shapes, second: Shapes, min_iou: float) -> Shared:
    """The pairs of two lists that may have this IoU. What two share is known where the second is convex: the
    compiled loop clips by it.
    """
    starts = ring_starts(second.rings.sizes)
    _, areas, pairs = find_overlaps(
        first.rings.points,
        ring_starts(first.rings.sizes),
        second.rings.points,
        starts,
        all_convex_turns(second.rings.points, starts),
        second.rings.boxes(),
        second.areas,
        np.zeros(len(second.rings), dtype=np.bool_),
        min_iou / (1 + min_iou) - _SLACK,
        0.0,
    )
    return Shared(pairs, areas)


def ious_of(first: Shapes, second: Shapes, shared: Shared) -> FloatArray:
    """Intersection over union of the pairs, 0..1; 0 for two without an area."""
    rows, columns = shared.pairs.T
    areas = shared.areas.copy()
    unknown = np.flatnonzero(np.isnan(areas))
    if len(unknown):
        areas[unknown] = shared_areas(first.regions[rows[unknown]], second.regions[columns[unknown]])
    united = first.areas[rows] + second.areas[columns] - areas
    ious = np.divide(areas, united, out=np.zeros_like(areas), where=united > 0)
    return np.asarray(np.minimum(ious, 1.0))


def find_own_overlaps(polygons: Sequence[ArrayLike], min_iou: float) -> Overlaps:
    """The pairs whose IoU is ``min_iou`` or more, which is above 0. Polygons are flat or (N, 2).

    One without an area overlaps nothing, not even its copy. ValueError for NaN and fewer than 3 points.
    """
    shapes = Shapes.of(read_polygons(polygons, "polygon"))
    if len(shapes.rings) < 2:
        return Overlaps(np.zeros((0, 2), dtype=np.intp), np.zeros(0))
    found = pairs_that_may_reach(shapes, shapes, min_iou)
    other = found.pairs[:, 0] != found.pairs[:, 1]
    # Asked both ways round, and one answer is enough.
    pairs = np.sort(found.pairs[other], axis=1)
    n = len(shapes.rings)
    keys, which = np.unique(pairs[:, 0] * n + pairs[:, 1], return_inverse=True)
    by_pair = np.full(len(keys), np.nan)
    np.fmax.at(by_pair, which, found.areas[other])
    pairs = np.stack([keys // n, keys % n], axis=1)
    ious = np.round(ious_of(shapes, shapes, Shared(pairs, by_pair)), DECIMALS)
    kept = ious >= round(min_iou, DECIMALS)
    return Overlaps(pairs[kept], ious[kept])
