"""The mean of a map inside quads, compiled: to the last bit ``raster.mean_inside``.

OpenCV fills a convex quad by drawing its edges (Bresenham, 1965) and everything between them, row by row. With
sums along rows at hand a quad costs its height, not its area. That gives the same bits because the values are
float16: their sums are exact in float64, whatever the order.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdet.compiled import compiled

OUTSIDE: Final = -1.0
"""A quad that leaves the map, or turns over when it is truncated: OpenCV has to clip it."""


@compiled
def row_sums(prob_map: Any) -> Any:
    """(H, W + 1) float64: in column x the sum of the first x values of the row; prob_map is float32 (H, W)."""
    height, width = prob_map.shape
    sums = np.empty((height, width + 1), dtype=np.float64)
    for y in range(height):
        total = 0.0
        sums[y, 0] = 0.0
        for x in range(width):
            total += prob_map[y, x]
            sums[y, x + 1] = total
    return sums


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
def mean_inside_quad(sums: Any, quad: Any, low: Any, high: Any) -> float:
    """Mean of the map over a convex quad (4, 2) float32, or OUTSIDE; ``low`` and ``high`` hold H rows."""
    height, width = sums.shape[0], sums.shape[1] - 1
    left = top = np.float32(np.inf)
    right = bottom = np.float32(-np.inf)
    for i in range(4):
        left, right = min(left, quad[i, 0]), max(right, quad[i, 0])
        top, bottom = min(top, quad[i, 1]), max(bottom, quad[i, 1])
    if left < 0 or top < 0 or math.ceil(right) > width - 1 or math.ceil(bottom) > height - 1:
        return OUTSIDE
    x0, y0 = np.int64(math.floor(left)), np.int64(math.floor(top))
    n_rows = np.int64(math.ceil(bottom)) - y0 + 1
    for y in range(n_rows):
        low[y], high[y] = width, -1
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
            total += sums[y0 + y, x0 + high[y] + 1] - sums[y0 + y, x0 + low[y]]
            n_pixels += high[y] - low[y] + 1
    return total * (1.0 / n_pixels)


def float16_values(prob_map: NDArray[np.floating]) -> NDArray[np.float32]:
    """The map as float32 whose values are float16's; ValueError for a map of another precision."""
    if prob_map.dtype != np.float16:
        raise ValueError(f"expected a float16 map, got {prob_map.dtype}")
    return np.ascontiguousarray(prob_map, dtype=np.float32)
