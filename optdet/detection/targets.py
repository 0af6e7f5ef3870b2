"""Training targets of the DB head (Liao et al. 2020, section 3.4), in canvas pixels.

``shrink_map`` is 1 inside words shrunk by ``D = A (1 - shrink_ratio^2) / L`` (A area, L perimeter).
``closeness`` falls from 1 on a word's outline to 0 at distance D on either side: the threshold map is
``thresh_min + (thresh_max - thresh_min) closeness``. ``thresh_mask`` marks the word grown by D, where the
threshold map is learnt. ``shrink_mask`` is 0 where the shrink map is not learnt: ignored words, and words
too small to shrink.

They are kept in two maps, 3 bytes a pixel: what a loader's process makes has to travel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optdet.detection.compiled_targets import (
    BORDER,
    CORE,
    FULL,
    UNLEARNT,
    draw_quads,
    raise_closeness,
)
from optdet.geometry.compiled_polygons import measures
from optdet.geometry.offset import offset_polygon
from optdet.geometry.polygons import area, shorter_side
from optdet.geometry.raster import fill
from optdet.structures import FloatArray

Mask = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class TargetMaps:
    """``regions`` (S, S) uint8, the bits ``CORE``, ``BORDER`` and ``UNLEARNT``, and ``closeness`` (S, S)
    int16, 0..``FULL``; the maps made of them are uint8 of 0 and 1, and float32.
    """

    regions: Mask
    closeness: NDArray[np.int16]

    @property
    def shrink_map(self) -> Mask:
        return self._has(CORE)

    @property
    def shrink_mask(self) -> Mask:
        """A word may lie over an ignored one: what is learnt as text is not masked again."""
        return np.maximum(1 - self._has(UNLEARNT), self.shrink_map)

    @property
    def thresh_mask(self) -> Mask:
        return self._has(BORDER)

    def thresh_map(self, *, thresh_min: float, thresh_max: float) -> NDArray[np.float32]:
        return self.closeness * np.float32((thresh_max - thresh_min) / FULL) + np.float32(thresh_min)

    def _has(self, bit: int) -> Mask:
        return ((self.regions & bit) > 0).astype(np.uint8)


def build_targets(
    polygons: Sequence[FloatArray],
    ignored: Sequence[bool],
    size: int,
    *,
    shrink_ratio: float = 0.4,
    min_side: float = 3.0,
    thresh_branch: bool = True,
) -> TargetMaps:
    """Maps for the words of one image; without ``thresh_branch`` nothing of a threshold map.

    ValueError for polygons and flags that are not as many.
    """
    if len(polygons) != len(ignored):
        raise ValueError(f"{len(polygons)} polygons, but {len(ignored)} flags")
    maps = TargetMaps(np.zeros((size, size), np.uint8), np.zeros((size, size), np.int16))
    if not polygons:
        return maps
    outlines = _Outlines.of(polygons)
    distances = outlines.shrink_distances(shrink_ratio)
    learnt = outlines.at_least(min_side) & ~np.asarray(ignored, dtype=bool)
    left = np.where(learnt, CORE | BORDER if thresh_branch else CORE, 0)
    quads = np.flatnonzero(learnt & (outlines.n_points == 4))
    corners = outlines.points[outlines.starts[quads][:, None] + np.arange(4)]
    left[quads] = draw_quads(maps.regions, corners, distances[quads], thresh_branch)
    for index in np.flatnonzero(left & CORE).tolist():
        learnt[index] = _mark_core(maps.regions, polygons[index], distances[index])
    for index in np.flatnonzero(learnt & (left & BORDER > 0) & (distances >= 1)).tolist():
        _mark(maps.regions, offset_polygon(polygons[index], distances[index]), BORDER)
    _mark(maps.regions, [polygons[index] for index in np.flatnonzero(~learnt).tolist()], UNLEARNT)
    if thresh_branch:
        raise_closeness(maps.closeness, outlines.points, outlines.starts, np.where(learnt, distances, 0.0))
    return maps


def _mark(regions: Mask, polygons: Sequence[ArrayLike], bit: int) -> None:
    """Set a bit inside of polygons of any shape, as OpenCV fills them."""
    if polygons:
        inside = np.zeros_like(regions)
        fill(inside, polygons, bit)
        regions |= inside


def _mark_core(regions: Mask, polygon: FloatArray, distance: float) -> bool:
    """The largest part of a shrunk word; False for a word of which nothing is left."""
    parts = offset_polygon(polygon, -distance)
    if parts:
        _mark(regions, [max(parts, key=area)], CORE)
    return bool(parts)


@dataclass(frozen=True, slots=True)
class _Outlines:
    """Polygons behind one another, and what is measured of each."""

    polygons: Sequence[FloatArray]
    points: NDArray[np.float64]
    starts: NDArray[np.int64]
    areas: NDArray[np.float64]
    lengths: NDArray[np.float64]
    extents: NDArray[np.float64]

    @classmethod
    def of(cls, polygons: Sequence[FloatArray]) -> _Outlines:
        points = np.concatenate([np.asarray(polygon, np.float64) for polygon in polygons])
        starts = np.zeros(len(polygons) + 1, np.int64)
        np.cumsum([len(polygon) for polygon in polygons], out=starts[1:])
        areas, lengths, extents = measures(points, starts).T
        return cls(polygons, points, starts, areas, lengths, extents)

    @property
    def n_points(self) -> NDArray[np.int64]:
        return np.diff(self.starts)

    def shrink_distances(self, shrink_ratio: float) -> NDArray[np.float64]:
        """``geometry.offset.shrink_distance`` of each."""
        lengths = np.where(self.lengths > 0, self.lengths, 1.0)
        return np.where(self.lengths > 0, self.areas * (1 - shrink_ratio**2) / lengths, 0.0)

    def at_least(self, min_side: float) -> NDArray[np.bool_]:
        """Whether the shorter side of a polygon's smallest rectangle is at least ``min_side``.

        It is no less than area by diameter, by which most polygons are large enough twice over: only the
        others are measured.
        """
        diameters = np.sqrt(2.0) * self.extents
        large: NDArray[np.bool_] = self.areas >= 2 * min_side * diameters
        for index in np.flatnonzero(~large).tolist():
            large[index] = shorter_side(np.asarray(self.polygons[index], np.float32)) >= min_side
        return large
