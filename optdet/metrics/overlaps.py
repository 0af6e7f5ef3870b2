"""Which polygons of one list overlap, and by how much: the sparse half of a matrix of IoUs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from numpy.typing import ArrayLike

from optdet.metrics.clipping import all_convex_turns
from optdet.metrics.iou_pairs import find_overlaps
from optdet.metrics.rings import Index, Rings, read_polygons, regions, ring_starts, shared_areas, stack_rings
from optdet.structures import FloatArray

DECIMALS: Final = 9
"""IoUs are rounded to these: compiled areas are good to 1e-10, and what is equal shall be equal."""

_SLACK: Final = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """Pairs (n, 2) of indices i < j, ascending, and their intersection over union (n,), 0..1."""

    pairs: Index
    ious: FloatArray


def find_own_overlaps(polygons: Sequence[ArrayLike], min_iou: float) -> Overlaps:
    """The pairs whose IoU is ``min_iou`` or more, which is above 0. Polygons are flat or (N, 2).

    One without an area overlaps nothing, not even its copy. ValueError for NaN and fewer than 3 points.
    """
    rings = stack_rings(read_polygons(polygons, "polygon"), "polygon")
    if len(rings) < 2:
        return Overlaps(np.zeros((0, 2), dtype=np.intp), np.zeros(0))
    shapes = regions(rings)
    areas = np.asarray(shapely.area(shapes))
    pairs, shared = _shared_by_pairs(rings, areas, min_iou)
    unknown = np.flatnonzero(np.isnan(shared))
    if len(unknown):
        shared[unknown] = shared_areas(*(shapes[side] for side in pairs[unknown].T))
    united = areas[pairs].sum(axis=1) - shared
    ious = np.divide(shared, united, out=np.zeros_like(shared), where=united > 0)
    ious = np.round(np.minimum(ious, 1.0), DECIMALS)
    kept = ious >= round(min_iou, DECIMALS)
    return Overlaps(pairs[kept], ious[kept])


def _shared_by_pairs(rings: Rings, areas: FloatArray, min_iou: float) -> tuple[Index, FloatArray]:
    """Pairs (n, 2) that may reach ``min_iou``, and the area that they share, NaN where it is not known.

    The compiled loop clips the first of a pair by the second, which has to be convex; so each is asked both
    ways round, and one answer is enough.
    """
    starts, n = ring_starts(rings.sizes), len(rings)
    _, shared, found = find_overlaps(
        rings.points,
        starts,
        rings.points,
        starts,
        all_convex_turns(rings.points, starts),
        rings.boxes(),
        areas,
        np.zeros(n, dtype=np.bool_),
        min_iou / (1 + min_iou) - _SLACK,
        0.0,
    )
    other = found[:, 0] != found[:, 1]
    shared, found = shared[other], np.sort(found[other], axis=1)
    keys, which = np.unique(found[:, 0] * n + found[:, 1], return_inverse=True)
    by_pair = np.full(len(keys), np.nan)
    np.fmax.at(by_pair, which, shared)
    return np.stack([keys // n, keys % n], axis=1), by_pair
