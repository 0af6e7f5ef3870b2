"""All contours of a map at all thresholds of a lattice, in one go: those that ``find_contours`` gives one by one.

Border following after Suzuki and Abe (1985), as OpenCV does it: contours (outer borders and borders of holes)
are met in raster order of their first pixel, listed in reverse, and keep the points at which their direction
changes. Two things make it fast: the places where a border can begin are collected for all thresholds in one
pass over the map, and a contour that is the same at the next threshold is not stored again.

The map is looked at as levels: a pixel's level is the number of thresholds below its value, so that it is
foreground at the threshold of index k exactly where its level is above k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdet.compiled import compiled
from optdet.structures import IntArray

MAX_LEVELS: Final = 255
"""Thresholds that fit a level's byte."""

_NEGATIVE: Final = 1
"""Added to a pixel's mark once a border has passed it with background at its right."""


@dataclass(frozen=True, slots=True)
class ContourLattice:
    """Contours at each of K thresholds, and the distinct ones among them.

    ``contours[starts[k] : starts[k + 1]]`` are the indices of the contours at threshold k in OpenCV's order;
    contour i has the points ``points[point_starts[i] : point_starts[i + 1]]``, (n, 2) int32, (x, y).
    """

    thresholds: tuple[float, ...]
    starts: NDArray[np.int64]
    contours: NDArray[np.int32]
    point_starts: NDArray[np.int64]
    points: IntArray

    @property
    def n_distinct(self) -> int:
        return len(self.point_starts) - 1

    def outline(self, index: int) -> IntArray:
        return self.points[self.point_starts[index] : self.point_starts[index + 1]]


def trace_contours(prob_map: NDArray[np.float16], thresholds: Sequence[float]) -> ContourLattice:
    """Contours of ``prob_map > float32(t)`` for every t of ascending ``thresholds``, at most ``MAX_LEVELS``."""
    if prob_map.dtype != np.float16:
        raise ValueError(f"expected a float16 map, got {prob_map.dtype}")
    if not 0 < len(thresholds) <= MAX_LEVELS or any(a >= b for a, b in zip(thresholds, thresholds[1:], strict=False)):
        raise ValueError(f"expected 1 to {MAX_LEVELS} ascending thresholds, got {len(thresholds)}")
    levels = _levels(np.ascontiguousarray(prob_map).view(np.uint16), _level_table(thresholds))
    starts, contours, point_starts, points = _trace_all(levels, len(thresholds))
    return ContourLattice(tuple(thresholds), starts, contours, point_starts, points)


def _level_table(thresholds: Sequence[float]) -> NDArray[np.uint8]:
    """The level of each of the 65536 float16 numbers, by its bits; not-a-number is background."""
    values = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    limits = np.asarray(thresholds, dtype=np.float32)
    levels = np.searchsorted(limits, values, side="left").astype(np.uint8)
    return np.asarray(np.where(np.isnan(values), 0, levels), dtype=np.uint8)


@compiled
def _levels(bits: Any, table: Any) -> Any:
    """Levels with a border of one pixel of background, (H + 2, W + 2) uint8."""
    height, width = bits.shape
    levels = np.zeros((height + 2, width + 2), dtype=np.uint8)
    for y in range(height):
        for x in range(width):
            levels[y + 1, x + 1] = table[bits[y, x]]
    return levels


@compiled
def _edges(levels: Any, n_levels: int) -> Any:
    """Where a row enters or leaves the foreground, for each level in raster order: (starts, flat places)."""
    height, width = levels.shape
    counts = np.zeros(n_levels + 2, dtype=np.int64)
    for y in range(1, height - 1):
        for x in range(1, width):
            a, b = levels[y, x - 1], levels[y, x]
            if a != b:
                counts[min(a, b)] += 1
                counts[max(a, b)] -= 1
    starts = np.zeros(n_levels + 1, dtype=np.int64)
    crossing = 0
    for k in range(n_levels):
        crossing += counts[k]
        starts[k + 1] = starts[k] + crossing
    places = np.empty(starts[n_levels], dtype=np.int32)
    ends = starts[:-1].copy()
    for y in range(1, height - 1):
        for x in range(1, width):
            a, b = levels[y, x - 1], levels[y, x]
            if a != b:
                for k in range(min(a, b), max(a, b)):
                    places[ends[k]] = y * width + x
                    ends[k] += 1
    return starts, places


@compiled
def _grown(array: Any, needed: int) -> Any:
    """The array, or a copy of twice its length where ``needed`` entries do not fit."""
    if needed <= array.shape[0]:
        return array
    larger = np.empty((max(needed, 2 * array.shape[0]),) + array.shape[1:], dtype=array.dtype)
    larger[: array.shape[0]] = array
    return larger


@compiled
def _follow(flat: Any, marks: Any, stamp: int, k: int, start: int, hole: bool, width: int, points: Any, n: int) -> Any:
    """Follow one border and write its points behind the first n; (points, their number)."""
    # Right, then counter-clockwise on the screen.
    steps = (1, 1 - width, -width, -width - 1, -1, width - 1, width, width + 1)
    side = 0 if hole else 4
    first = side
    while True:
        side = (side - 1) & 7
        if flat[start + steps[side]] > k or side == first:
            break
    if side == first:  # a single pixel
        marks[start] = stamp + _NEGATIVE
        points = _grown(points, n + 1)
        points[n, 0], points[n, 1] = start % width - 1, start // width - 1
        return points, n + 1
    second = start + steps[side]
    here, written = start, side ^ 4
    while True:
        came = side
        while True:
            side += 1
            ahead = here + steps[side & 7]
            if flat[ahead] > k:
                break
        side &= 7
        if 0 <= side - 1 < came:
            marks[here] = stamp + _NEGATIVE
        elif marks[here] < stamp:
            marks[here] = stamp
        if side != written:
            if n >= points.shape[0]:
                points = _grown(points, n + 1)
            points[n, 0], points[n, 1] = here % width - 1, here // width - 1
            n += 1
            written = side
        if ahead == start and here == second:
            return points, n
        here = ahead
        side = (side + 4) & 7


@compiled
def _is_repeated(points: Any, before: int, start: int, n: int) -> bool:
    for i in range(n):
        if points[before + i, 0] != points[start + i, 0] or points[before + i, 1] != points[start + i, 1]:
            return False
    return True


@compiled
def _trace_all(levels: Any, n_levels: int) -> Any:
    edge_starts, edges = _edges(levels, n_levels)
    height, width = levels.shape
    flat = levels.ravel()
    marks = np.zeros(height * width, dtype=np.int32)
    # The last contour that began at a pixel: outer borders and those of holes apart.
    latest = np.full((2, height * width), -1, dtype=np.int32)
    starts = np.zeros(n_levels + 1, dtype=np.int64)
    contours = np.empty(1024, dtype=np.int32)
    point_starts = np.zeros(1024, dtype=np.int64)
    points = np.empty((16384, 2), dtype=np.int32)
    n_found = n_distinct = n_points = 0
    for k in range(n_levels):
        stamp = 2 * (k + 1)
        for e in range(edge_starts[k], edge_starts[k + 1]):
            place = edges[e]
            hole = flat[place] <= k
            start = place - 1 if hole else place
            if marks[start] == stamp + _NEGATIVE if hole else marks[start] >= stamp:
                continue
            points, end = _follow(flat, marks, stamp, k, start, hole, width, points, n_points)
            kind = 1 if hole else 0
            index = latest[kind, start]
            n = end - n_points
            if (
                index < 0
                or point_starts[index + 1] - point_starts[index] != n
                or not _is_repeated(points, point_starts[index], n_points, n)
            ):
                index = n_distinct
                n_distinct += 1
                point_starts = _grown(point_starts, n_distinct + 1)
                n_points = end
                point_starts[n_distinct] = end
                latest[kind, start] = index
            contours = _grown(contours, n_found + 1)
            contours[n_found] = index
            n_found += 1
        starts[k + 1] = n_found
        contours[starts[k] : n_found] = contours[starts[k] : n_found][::-1].copy()
    return starts, contours[:n_found].copy(), point_starts[: n_distinct + 1].copy(), points[:n_points].copy()
