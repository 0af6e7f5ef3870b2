"""All contours of a map at all thresholds of a lattice, in one go: those that ``find_contours`` gives one
by one.

Border following after Suzuki and Abe (1985; ``borders``), as OpenCV does it: contours (outer borders and
borders of holes) are met in raster order of their first pixel, listed in reverse, and keep the points at
which their direction changes. Two things make it fast: the places where a border can begin are collected for
all thresholds in one pass over the map, and a border is followed again only at the threshold at which one of
its pixels is gone.

The map is looked at as levels: a pixel's level is the number of thresholds below its value, so that it is
foreground at the threshold of index k exactly where its level is above k. A border that was followed at k
is the same at every later threshold that is below the levels of all of its pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdet.compiled import compiled
from optdet.detection.borders import TURNS, follow, mark, steps_to_neighbours, write_corners
from optdet.structures import IntArray

MAX_LEVELS: Final = 255
"""Thresholds that fit a level's byte."""

_WORD: Final = 8
"""Levels that are compared at once while the level stays the same."""
_REPEATED = np.uint64(0x0101010101010101)
"""Times a level: a word of that level alone."""


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
    """Contours of ``prob_map > float32(t)`` for every t of ascending ``thresholds``, at most
    ``MAX_LEVELS``."""
    if prob_map.dtype != np.float16:
        raise ValueError(f"expected a float16 map, got {prob_map.dtype}")
    if not 0 < len(thresholds) <= MAX_LEVELS or any(a >= b for a, b in pairwise(thresholds)):
        raise ValueError(f"expected 1 to {MAX_LEVELS} ascending thresholds, got {len(thresholds)}")
    bits = np.ascontiguousarray(prob_map).view(np.uint16)
    height, width = bits.shape
    stride = -(-(width + 2) // _WORD) * _WORD
    levels, known = np.zeros((2, height + 2, stride), dtype=np.uint8)
    _levels(bits, _level_table(tuple(thresholds)), levels)
    starts, contours, point_starts, points = _trace_all(levels, len(thresholds), known.ravel(), TURNS)
    return ContourLattice(tuple(thresholds), starts, contours, point_starts, points)


@lru_cache(maxsize=8)
def _level_table(thresholds: tuple[float, ...]) -> NDArray[np.uint8]:
    """The level of each of the 65536 float16 numbers, by its bits; not-a-number is background."""
    values = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    limits = np.asarray(thresholds, dtype=np.float32)
    levels = np.searchsorted(limits, values, side="left").astype(np.uint8)
    return np.asarray(np.where(np.isnan(values), 0, levels), dtype=np.uint8)


@compiled
def _levels(bits: Any, table: Any, levels: Any) -> None:
    """Write the levels of a map (H, W), with at least a pixel of background around it."""
    height, width = bits.shape
    for y in range(height):
        for x in range(width):
            levels[y + 1, x + 1] = table[bits[y, x]]


@compiled
def _edges(levels: Any, n_levels: int) -> Any:
    """Where a row enters or leaves the foreground: (places, starts, edges).

    Flat places of the pixels that differ from their left neighbour, in raster order, and for each level the
    indices ``edges[starts[k] : starts[k + 1]]`` of those at which it has an edge.
    """
    height, stride = levels.shape
    words = levels.view(np.uint64)
    changes = np.zeros(n_levels + 2, dtype=np.int64)
    places = np.empty(4096, dtype=np.int32)
    n_places = 0
    for y in range(1, height - 1):
        before = np.uint8(0)
        for word in range(stride // _WORD):
            if words[y, word] == np.uint64(before) * _REPEATED:
                continue
            for x in range(word * _WORD, word * _WORD + _WORD):
                level = levels[y, x]
                if level != before:
                    changes[min(level, before)] += 1
                    changes[max(level, before)] -= 1
                    if n_places == places.shape[0]:
                        places = _grown(places, n_places + 1)
                    places[n_places] = y * stride + x
                    n_places += 1
                    before = level
    starts = np.zeros(n_levels + 1, dtype=np.int64)
    crossing = 0
    for k in range(n_levels):
        crossing += changes[k]
        starts[k + 1] = starts[k] + crossing
    edges = np.empty(starts[n_levels], dtype=np.int32)
    ends = starts[:-1].copy()
    flat = levels.ravel()
    for i in range(n_places):
        place = places[i]
        a, b = flat[place - 1], flat[place]
        for k in range(min(a, b), max(a, b)):
            edges[ends[k]] = i
            ends[k] += 1
    return places, starts, edges


@compiled
def _grown(array: Any, needed: int) -> Any:
    """The array, or a copy of twice its length where ``needed`` entries do not fit."""
    if needed <= array.shape[0]:
        return array
    larger = np.empty((max(needed, 2 * array.shape[0]),) + array.shape[1:], dtype=array.dtype)
    larger[: array.shape[0]] = array
    return larger


@compiled
def _is_repeated(points: Any, before: int, start: int, n: int) -> bool:
    for i in range(n):
        if points[before + i, 0] != points[start + i, 0] or points[before + i, 1] != points[start + i, 1]:
            return False
    return True


@compiled
def _trace_all(levels: Any, n_levels: int, known: Any, turns: Any) -> Any:
    """A side of a pixel belongs to one border, and a border begins at the first of its sides in raster order.

    ``known`` (zeros) says for the edge at a place below which level the border along it is known.
    """
    edge_places, edge_starts, edges = _edges(levels, n_levels)
    latest = np.full(len(edge_places), -1, dtype=np.int32)  # the last contour that began at an edge
    stride = levels.shape[1]
    flat = levels.ravel()
    steps = steps_to_neighbours(stride)
    places, flags = np.empty(4096, dtype=np.uint32), np.empty(4096, dtype=np.uint8)
    starts = np.zeros(n_levels + 1, dtype=np.int64)
    contours = np.empty(1024, dtype=np.int32)
    valid_until = np.empty(1024, dtype=np.int32)
    point_starts = np.zeros(1024, dtype=np.int64)
    points = np.empty((16384, 2), dtype=np.int32)
    n_found = n_distinct = n_points = 0
    for k in range(n_levels):
        for e in range(edge_starts[k], edge_starts[k + 1]):
            edge = edges[e]
            place = edge_places[edge]
            hole = flat[place] <= k
            start = place - 1 if hole else place
            index = latest[edge]
            if index < 0 or valid_until[index] < k:
                if known[place] > k:
                    continue
                while True:
                    n_steps, lowest = follow(
                        flat, steps, turns, np.uint8(k), np.uint64(start), hole, places, flags
                    )
                    if n_steps:
                        break
                    places, flags = np.empty(2 * len(places), np.uint32), np.empty(2 * len(places), np.uint8)
                mark(places, flags, n_steps, lowest, known)
                points = _grown(points, n_points + int(n_steps))
                n = write_corners(places, flags, n_steps, stride, points, n_points)
                if (
                    index < 0
                    or point_starts[index + 1] - point_starts[index] != n
                    or not _is_repeated(points, point_starts[index], n_points, n)
                ):
                    index = n_distinct
                    n_distinct += 1
                    point_starts = _grown(point_starts, n_distinct + 1)
                    valid_until = _grown(valid_until, n_distinct)
                    n_points += n
                    point_starts[n_distinct] = n_points
                    latest[edge] = index
                valid_until[index] = np.int64(lowest) - 1
            contours = _grown(contours, n_found + 1)
            contours[n_found] = index
            n_found += 1
        starts[k + 1] = n_found
        contours[starts[k] : n_found] = contours[starts[k] : n_found][::-1].copy()
    return starts, contours[:n_found].copy(), point_starts[: n_distinct + 1].copy(), points[:n_points].copy()
