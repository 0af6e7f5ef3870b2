"""Smallest rectangles of integer points, compiled: bit for bit what ``min_area_rectangle`` gives.

A threshold sweep measures a million outlines, and calling OpenCV costs more than its work. The last bits of a
rectangle, and which of two equal ones is taken, depend on the order of every operation, so it is OpenCV 5's
here: rotating calipers (Toussaint, 1983) in float32 around the hull of ``compiled_hull``.
``detection.exactness`` asks whether the installed OpenCV agrees; where it does not, nobody comes here.

Points are (n, 2), integers, below 2**19 in size. All functions write into buffers that the caller brings.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optdet.compiled import compiled
from optdet.geometry.compiled_hull import convex_hull

_F = np.float32
_HALF_TURN = 180.0
_LARGEST = _F(np.finfo(np.float32).max)


@compiled
def _next(index: int, n: int) -> int:
    return index + 1 if index + 1 < n else 0


@compiled
def _calipers(px: Any, py: Any, n: int, vx: Any, vy: Any, inverse: Any, best: Any) -> None:
    """Smallest rectangle on an edge of the hull (px, py); the last of equals.

    ``best``: unit vector (a, b) along the edge, extents along and across it, and the two corner points that
    fix its place.
    """
    s0 = s1 = s2 = s3 = 0
    for i in range(n):
        if px[i] < px[s3]:
            s3 = i
        if px[i] > px[s1]:
            s1 = i
        if py[i] > py[s2]:
            s2 = i
        if py[i] < py[s0]:
            s0 = i
        j = _next(i, n)
        vx[i], vy[i] = px[j] - px[i], py[j] - py[i]
        dx, dy = np.float64(vx[i]), np.float64(vy[i])
        inverse[i] = _F(1.0 / math.sqrt(dx * dx + dy * dy))
    smallest = _LARGEST
    for _ in range(n):
        # Each caliper's next edge, turned into the first one's direction: the most clockwise one is met next.
        x, y, which = vx[s0], vy[s0], 0
        if _is_right(vy[s1], -vx[s1], x, y):
            x, y, which = vy[s1], -vx[s1], 1
        if _is_right(-vx[s2], -vy[s2], x, y):
            x, y, which = -vx[s2], -vy[s2], 2
        if _is_right(-vy[s3], vx[s3], x, y):
            x, y, which = -vy[s3], vx[s3], 3
        if which == 0:
            a, b = x * inverse[s0], y * inverse[s0]
            s0 = _next(s0, n)
        elif which == 1:
            a, b = x * inverse[s1], y * inverse[s1]
            s1 = _next(s1, n)
        elif which == 2:
            a, b = x * inverse[s2], y * inverse[s2]
            s2 = _next(s2, n)
        else:
            a, b = x * inverse[s3], y * inverse[s3]
            s3 = _next(s3, n)
        along = (px[s1] - px[s3]) * a + (py[s1] - py[s3]) * b
        across = -(px[s2] - px[s0]) * b + (py[s2] - py[s0]) * a
        if along * across <= smallest:
            smallest = along * across
            best[0], best[1], best[2], best[3] = a, b, along, across
            best[4], best[5], best[6], best[7] = px[s3], py[s3], px[s0], py[s0]


@compiled
def _is_right(ax: Any, ay: Any, bx: Any, by: Any) -> bool:
    return bool(ay * bx - ax * by < _F(0))


@compiled
def _corners(best: Any, quad: Any) -> Any:
    """Write the rectangle's corners from the top left, as OpenCV's angle gives them; its shorter side."""
    a, b, along, across = best[0], best[1], best[2], best[3]
    c1 = a * best[4] + best[5] * b
    c2 = -b * best[6] + best[7] * a
    inverse = _F(1) / (a * a - -b * b)
    left, top = (c1 * a - c2 * b) * inverse, (a * c2 - -b * c1) * inverse
    ux, uy, vx, vy = a * along, b * along, -b * across, a * across
    x, y = left + (ux + vx) * _F(0.5), top + (uy + vy) * _F(0.5)
    width, height = _length(ux, uy), _length(vx, vy)
    angle = math.atan2(np.float64(uy), np.float64(ux)) * _HALF_TURN / math.pi
    if angle >= 90:
        angle -= 180
    elif angle >= 0:
        angle -= 90
        width, height = height, width
    turn = np.float64(_F(angle)) * math.pi / _HALF_TURN
    c, s = _F(math.cos(turn)) * _F(0.5), _F(math.sin(turn)) * _F(0.5)
    xs = (
        x - s * height - c * width,
        x + s * height - c * width,
        x + s * height + c * width,
        x - s * height + c * width,
    )
    ys = (
        y + c * height - s * width,
        y - c * height - s * width,
        y - c * height + s * width,
        y + c * height + s * width,
    )
    _order_corners(xs, ys, quad)
    return min(width, height)


@compiled
def _length(x: Any, y: Any) -> Any:
    return _F(math.sqrt(np.float64(x) * np.float64(x) + np.float64(y) * np.float64(y)))


@compiled
def _order_corners(xs: Any, ys: Any, quad: Any) -> None:
    """Two left ones, two right ones, each pair from the top: as ``min_area_rectangle`` orders them."""
    order = np.empty(4, dtype=np.int64)
    for i in range(4):
        j = i
        while j > 0 and xs[order[j - 1]] > xs[i]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = i
    a, b, c, d = order[0], order[1], order[2], order[3]
    if ys[b] <= ys[a]:
        a, b = b, a
    if ys[d] <= ys[c]:
        c, d = d, c
    quad[0, 0], quad[0, 1] = xs[a], ys[a]
    quad[1, 0], quad[1, 1] = xs[c], ys[c]
    quad[2, 0], quad[2, 1] = xs[d], ys[d]
    quad[3, 0], quad[3, 1] = xs[b], ys[b]


@compiled
def smallest_rectangle(points: Any, n: int, quad: Any, buffers: Any) -> Any:
    """Write the quad (4, 2) float32 around the first ``n`` points; its shorter side.

    0, and no quad, for points on a line.
    """
    size = convex_hull(points, n, buffers)
    if size < 3:
        return _F(0)
    hull, px, py = buffers[0][0], buffers[1][0], buffers[1][1]
    for i in range(size):
        px[i], py[i] = points[hull[i], 0], points[hull[i], 1]
    _calipers(px, py, size, buffers[1][2], buffers[1][3], buffers[1][4], buffers[2])
    return _corners(buffers[2], quad)


@compiled
def smallest_rectangle_from_anywhere(points: Any, n: int, quad: Any, buffers: Any) -> Any:
    """The same for points that may come in another order of the same ring; -1 where that would change the
    quad.

    It matters only where two rectangles are equally small, or two corners equally far out.
    """
    size = convex_hull(points, n, buffers)
    if size < 3:
        return _F(0)
    hull, px, py = buffers[0][0], buffers[1][0], buffers[1][1]
    other = np.empty((4, 2), dtype=np.float32)
    side = _F(0)
    for start in range(size):
        for i in range(size):
            index = hull[(start + i) % size]
            px[i], py[i] = points[index, 0], points[index, 1]
        _calipers(px, py, size, buffers[1][2], buffers[1][3], buffers[1][4], buffers[2])
        if start == 0:
            side = _corners(buffers[2], quad)
            continue
        if _corners(buffers[2], other) != side:
            return _F(-1)
        for i in range(4):
            if other[i, 0] != quad[i, 0] or other[i, 1] != quad[i, 1]:
                return _F(-1)
    return side
