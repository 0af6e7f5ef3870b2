"""Convex polygons as pixels, compiled: the mean of a map inside quads, to the last bit
``raster.mean_inside``, and polygons filled.

OpenCV fills a convex quad by drawing its edges (Bresenham, 1965) and everything between them, row by row.
With sums along rows at hand a quad costs its height, not its area: worth the while for the thousands of a
sweep, not for the words of one configuration. Both give the same bits because the values are float16: their
sums are exact in float64, whatever the order.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from optdet.compiled import compiled

OUTSIDE: Final = -1.0
"""A quad that leaves the map, or turns over when it is truncated: OpenCV has to clip it."""


VALUES: Final = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float64)
"""float16's numbers by their bits: a look-up is quicker than a conversion."""


@compiled
def row_sums(bits: Any, values: Any, left: int, top: int, right: int, bottom: int) -> Any:
    """(bottom - top, right - left + 1) float64: in column x the sum of the row's first x values from
    ``left`` on.

    ``bits``: a float16 map (H, W) seen as uint16; ``values``: ``VALUES``.
    """
    sums = np.empty((bottom - top, right - left + 1), dtype=np.float64)
    for y in range(bottom - top):
        total = 0.0
        sums[y, 0] = 0.0
        for x in range(right - left):
            total += values[bits[top + y, left + x]]
            sums[y, x + 1] = total
    return sums


@compiled
def mean_inside_quads(bits: Any, values: Any, quads: Any) -> Any:
    """Means over convex quads (n, 4, 2) float32, (n,); ``OUTSIDE`` where OpenCV has to be asked."""
    height, width = bits.shape
    left, top, right, bottom = width, height, 0, 0
    n_pixels = 0
    for i in range(len(quads)):
        x0 = x1 = quads[i, 0, 0]
        y0 = y1 = quads[i, 0, 1]
        for j in range(1, 4):
            x0, x1 = min(x0, quads[i, j, 0]), max(x1, quads[i, j, 0])
            y0, y1 = min(y0, quads[i, j, 1]), max(y1, quads[i, j, 1])
        left, right = min(left, math.floor(x0)), max(right, math.ceil(x1) + 1)
        top, bottom = min(top, math.floor(y0)), max(bottom, math.ceil(y1) + 1)
        n_pixels += (math.ceil(x1) + 1 - math.floor(x0)) * (math.ceil(y1) + 1 - math.floor(y0))
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    means = np.empty(len(quads), dtype=np.float64)
    if left >= right or top >= bottom:
        means[:] = OUTSIDE
        return means
    by_rows = n_pixels > (right - left) * (bottom - top)
    sums = row_sums(bits, values, left, top, right, bottom) if by_rows else np.empty((0, 0))
    window = (left, top, right, bottom)
    low, high = np.empty(bottom - top + 2, dtype=np.int64), np.empty(bottom - top + 2, dtype=np.int64)
    for i in range(len(quads)):
        means[i] = _mean_inside(bits, values, by_rows, sums, window, quads[i], low, high)
    return means


@compiled
def _draw_edge(x0: int, y0: int, x1: int, y1: int, low: Any, high: Any) -> None:
    """Widen the rows' spans by the pixels of an edge, drawn from left to right."""
    if x1 < x0:
        x0, y0, x1, y1 = x1, y1, x0, y0
    dx, dy, step = x1 - x0, y1 - y0, 1
    if dy < 0:
        dy, step = -dy, -1
    steep = dy > dx
    n, m = (dy, dx) if steep else (dx, dy)
    error = n - 2 * m
    x, y = x0, y0
    for _ in range(n + 1):
        low[y], high[y] = min(low[y], x), max(high[y], x)
        if error < 0:
            error += 2 * n
            if steep:
                x += 1
            else:
                y += step
        error -= 2 * m
        if steep:
            y += step
        else:
            x += 1


@compiled
def mark_between(canvas: Any, polygon: Any, n: int, bits: int) -> bool:
    """Set bits of the pixels of a convex polygon, ``polygon[:n]`` (x, y) integers, its border among them;
    what lies outside of the canvas is left out. False, and nothing done, for one that is far larger than it.
    """
    height, width = canvas.shape
    left = right = polygon[0, 0]
    top = bottom = polygon[0, 1]
    for i in range(1, n):
        left, right = min(left, polygon[i, 0]), max(right, polygon[i, 0])
        top, bottom = min(top, polygon[i, 1]), max(bottom, polygon[i, 1])
    n_rows = bottom - top + 1
    if n_rows > 4 * height or right - left > 4 * width:
        return False
    low, high = np.empty(n_rows, dtype=np.int64), np.empty(n_rows, dtype=np.int64)
    for y in range(n_rows):
        low[y], high[y] = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    for i in range(n):
        j = i + 1 if i + 1 < n else 0
        _draw_edge(polygon[i, 0], polygon[i, 1] - top, polygon[j, 0], polygon[j, 1] - top, low, high)
    for y in range(max(top, 0), min(bottom, height - 1) + 1):
        row = canvas[y]
        for x in range(max(low[y - top], 0), min(high[y - top], width - 1) + 1):
            row[x] |= np.uint8(bits)
    return True


@compiled
def _mean_inside(
    bits: Any, values: Any, by_rows: bool, sums: Any, window: Any, quad: Any, low: Any, high: Any
) -> float:
    """Mean over one quad; ``sums``: the window's, if ``by_rows``; ``low`` and ``high``: room for its rows."""
    window_x, window_y, window_right, window_bottom = window
    left = top = np.float32(np.inf)
    right = bottom = np.float32(-np.inf)
    for i in range(4):
        left, right = min(left, quad[i, 0]), max(right, quad[i, 0])
        top, bottom = min(top, quad[i, 1]), max(bottom, quad[i, 1])
    if left < window_x or top < window_y:
        return OUTSIDE
    if math.ceil(right) > window_right - 1 or math.ceil(bottom) > window_bottom - 1:
        return OUTSIDE
    x0, y0 = np.int64(math.floor(left)), np.int64(math.floor(top))
    n_rows = np.int64(math.ceil(bottom)) - y0 + 1
    for y in range(n_rows):
        low[y], high[y] = 2 * (window_right - window_x), -1
    xs, ys = np.empty(4, dtype=np.int64), np.empty(4, dtype=np.int64)
    for i in range(4):
        xs[i] = np.int64(quad[i, 0] - np.float32(x0))
        ys[i] = np.int64(quad[i, 1] - np.float32(y0))
    for i in range(4):
        j, k = (i + 1) & 3, (i + 2) & 3
        if (xs[j] - xs[i]) * (ys[k] - ys[j]) - (ys[j] - ys[i]) * (xs[k] - xs[j]) < 0:
            return OUTSIDE
        _draw_edge(xs[i], ys[i], xs[j], ys[j], low, high)
    total, n_pixels = 0.0, 0
    for y in range(n_rows):
        if high[y] >= 0:
            if by_rows:
                row, shift = y0 - window_y + y, x0 - window_x
                total += sums[row, shift + high[y] + 1] - sums[row, shift + low[y]]
            else:
                for x in range(x0 + low[y], x0 + high[y] + 1):
                    total += values[bits[y0 + y, x]]
            n_pixels += high[y] - low[y] + 1
    return total * (1.0 / n_pixels)
