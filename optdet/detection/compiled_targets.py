"""The training targets of an image's words, drawn by compiled loops into two maps that the caller brings:
``regions`` (S, S) uint8, whose bits are the flags below, and ``closeness`` (S, S) int16.

A convex quad's shrunk and grown outlines are those of ``geometry.compiled_offset``, filled with the pixels
of Bresenham's lines (1965) and of what lies between them, as OpenCV fills it. What these do not know, and
every other polygon, is left to the libraries: the statuses say so.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from optdet.compiled import compiled
from optdet.geometry.compiled_offset import UNSURE, grown_quad, offset_buffers, shrunk_quad
from optdet.geometry.compiled_raster import mark_between

CORE: Final = 1
BORDER: Final = 2
UNLEARNT: Final = 4
"""Bits of a region: in a shrunk word; in a grown one; in one that is masked."""
FULL: Final = 32767
"""Closeness on a word's outline: steps of 1 / 32767 from 0 at the distance D."""

_F = np.float32
_LEVEL: Final = 1e-9


@compiled
def draw_quads(regions: Any, quads: Any, distances: Any, with_border: bool) -> Any:
    """Set ``CORE`` in shrunk and ``BORDER`` in grown quads (n, 4, 2) float64.

    Statuses (n,): the bits that could not be drawn.
    """
    statuses = np.zeros(len(quads), dtype=np.uint8)
    largest = 1.0
    for i in range(len(quads)):
        largest = max(largest, distances[i])
    buffers = offset_buffers(largest)
    outline = np.empty((buffers.shape[1], 2), dtype=np.int64)
    core = np.empty((4, 2), dtype=np.int64)
    for i in range(len(quads)):
        if not (shrunk_quad(quads[i], distances[i], core) and mark_between(regions, core, 4, CORE)):
            statuses[i] |= CORE
        if with_border and distances[i] >= 1:
            n = abs(grown_quad(quads[i], distances[i], outline, buffers))
            if n == -UNSURE or not mark_between(regions, outline, n, BORDER):
                statuses[i] |= BORDER
    return statuses


@compiled
def raise_closeness(closeness: Any, points: Any, starts: Any, distances: Any) -> None:
    """Raise ``closeness`` (S, S) int16 to ``FULL (1 - d / D)`` around the outlines of polygons, d the pixel's
    distance from one and D its ``distances``; nothing for a D below 1.
    """
    for i in range(len(starts) - 1):
        if distances[i] < 1:
            continue
        for k in range(starts[i], starts[i + 1]):
            after = k + 1 if k + 1 < starts[i + 1] else starts[i]
            _raise_edge(
                closeness, points[k, 0], points[k, 1], points[after, 0], points[after, 1], distances[i]
            )


@compiled
def _raise_edge(closeness: Any, x1: float, y1: float, x2: float, y2: float, distance: float) -> None:
    """The pixels within ``distance`` of one side, row by row: hardly any others are looked at.

    They are those of two discs and of the strip between them, of which each row is one run: dx after the
    side's start, across it within ``distance``, along it between its ends.
    """
    size = len(closeness)
    length = math.sqrt((x2 - x1) * (x2 - x1) + (y2 - y1) * (y2 - y1))
    unit_x, unit_y = (x2 - x1) / length if length > 0 else 1.0, (y2 - y1) / length if length > 0 else 0.0
    # A side along an axis crosses no row, or no column: a run without an end stands for it.
    is_level, is_upright = abs(unit_y) < _LEVEL, abs(unit_x) < _LEVEL
    across_slope, across_half = (0.0, np.inf) if is_level else (unit_x / unit_y, distance / abs(unit_y))
    along_slope, along_run = (0.0, 0.0) if is_upright else (-unit_y / unit_x, length / unit_x)
    first = max(math.floor(min(y1, y2) - distance), 0)
    last = min(math.ceil(max(y1, y2) + distance), size - 1)
    ux, uy, span, scale = _F(unit_x), _F(unit_y), _F(length), _F(FULL) / _F(distance)
    for y in range(first, last + 1):
        below = y - y1
        low, high = np.inf, -np.inf
        reach = distance * distance - below * below
        if reach >= 0:
            half = math.sqrt(reach)
            low, high = -half, half
        reach = distance * distance - (y - y2) * (y - y2)
        if reach >= 0:
            half = math.sqrt(reach)
            low, high = min(low, x2 - x1 - half), max(high, x2 - x1 + half)
        is_beside = abs(below) <= distance if is_level else 0 <= below * unit_y <= length or not is_upright
        if is_beside:
            start = below * along_slope
            left = -np.inf if is_upright else min(start, start + along_run)
            right = np.inf if is_upright else max(start, start + along_run)
            left = max(left, below * across_slope - across_half)
            right = min(right, below * across_slope + across_half)
            if left <= right:
                low, high = min(low, left), max(high, right)
        if low > high:
            continue
        dy = _F(below)
        row = closeness[y]
        for x in range(max(math.floor(x1 + low), 0), min(math.ceil(x1 + high), size - 1) + 1):
            dx = _F(x - x1)
            along = dx * ux + dy * uy
            beyond = along - min(max(along, _F(0)), span)
            across = dy * ux - dx * uy
            near = _F(FULL) - math.sqrt(beyond * beyond + across * across) * scale
            row[x] = max(row[x], np.int16(max(near, _F(0)) + _F(0.5)))
