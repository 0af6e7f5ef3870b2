"""Hulls and smallest rectangles of integer points, compiled: bit for bit what ``min_area_rectangle`` gives.

A threshold sweep measures a million outlines, and calling OpenCV costs more than its work. The last bits of a
rectangle, and which of two equal ones is taken, depend on the order of every operation, so it is OpenCV 5's
here: Sklansky's hull of the points sorted by x, turned so that its indices ascend or descend where they can,
then rotating calipers (Toussaint, 1983) in float32. ``detection.exactness`` asks whether the installed
OpenCV agrees; where it does not, nobody comes here.

Points are (n, 2), integers, below 2**19 in size. All functions write into buffers that the caller brings.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optdet.compiled import compiled

HullBuffers = tuple[Any, Any, Any]
"""What :func:`hull_buffers` makes: integers (7, n), of which row 0 is the hull, and singles (5, n) and
(8,)."""

_F = np.float32
_HALF_TURN = 180.0
_INDEX_BITS = 20
_OFFSET = 1 << 19
_LARGEST = _F(np.finfo(np.float32).max)


@compiled
def hull_buffers(n_points: int) -> HullBuffers:
    """Room for the hull and the rectangle of up to ``n_points`` points."""
    integers = np.empty((7, n_points + 2), dtype=np.int64)
    singles = np.empty((5, n_points + 2), dtype=np.float32)
    return integers, singles, np.empty(8, dtype=np.float32)


@compiled
def _sign(value: int) -> int:
    if value > 0:
        return 1
    return -1 if value < 0 else 0


@compiled
def _quarter(xs: Any, ys: Any, start: int, end: int, rising: int, turn: int, stack: Any) -> int:
    """A quarter of Sklansky's hull, from an extreme in x to one in y: its length, indices in ``stack``."""
    step = 1 if end > start else -1
    if start == end or (xs[start] == xs[end] and ys[start] == ys[end]):
        stack[0] = start
        return 1
    before, here, ahead = start, start + step, start + 2 * step
    size = 3
    stack[0], stack[1], stack[2] = before, here, ahead
    while ahead != end + step:
        climb = ys[ahead] - ys[here]
        if _sign(climb) == rising:
            ahead += step
            stack[size - 1] = ahead
            continue
        dx, dy = xs[here] - xs[before], ys[here] - ys[before]
        bend = dy * (xs[ahead] - xs[here]) - dx * climb
        if _sign(bend) == turn and (dx != 0 or dy != 0):
            before, here = here, ahead
            ahead += step
            stack[size] = ahead
            size += 1
        elif before == start:
            here = ahead
            stack[1] = here
            ahead += step
            stack[2] = ahead
        else:
            stack[size - 2] = ahead
            here = before
            before = stack[size - 4]
            size -= 1
    return size - 1


@compiled
def _start_at_an_end(hull: Any, size: int, spare: Any) -> None:
    """Turn the hull so that its indices ascend or descend, if there is such a turn."""
    low = high = n_ascents = 0
    for i in range(1, size):
        if hull[i - 1] < hull[i]:
            n_ascents += 1
        if 1 < n_ascents <= i - 2:
            break
        if hull[i] < hull[low]:
            low = i
        if hull[i] > hull[high]:
            high = i
    apart = abs(high - low)
    if (apart != 1 and apart != size - 1) or 1 < n_ascents < size - 2:
        return
    ascending = (high + 1) % size == low
    start = low if ascending else high
    if start == 0:
        return
    for i in range(size):
        index = hull[(start + i) % size]
        spare[i] = index
        if i < size - 1 and ascending != (index < hull[(start + i + 1) % size]):
            return
    for i in range(size):
        hull[i] = spare[i]


@compiled
def convex_hull(points: Any, n: int, buffers: Any) -> int:
    """Number of corners of the hull of the first ``n`` points; their indices are in ``buffers[0][0]``.

    They turn as (x, y) does: clockwise on the screen.
    """
    rows = buffers[0]
    hull, keys, order, xs, ys, left, right = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], rows[6]
    for i in range(n):
        x, y = np.int64(points[i, 0]) + _OFFSET, np.int64(points[i, 1]) + _OFFSET
        keys[i] = (((x << _INDEX_BITS) | y) << _INDEX_BITS) | i
    sorted_keys = keys[:n]
    sorted_keys.sort()
    lowest = highest = 0
    for i in range(n):
        index = sorted_keys[i] & ((1 << _INDEX_BITS) - 1)
        order[i] = index
        xs[i], ys[i] = points[index, 0], points[index, 1]
        if ys[i] < ys[lowest]:
            lowest = i
        if ys[i] > ys[highest]:
            highest = i
    if xs[0] == xs[n - 1] and ys[0] == ys[n - 1]:
        hull[0] = 0
        return 1
    size = 0
    n_left = _quarter(xs, ys, 0, highest, -1, 1, left)
    n_right = _quarter(xs, ys, n - 1, highest, -1, -1, right)
    for i in range(n_right - 1):
        hull[size] = order[right[i]]
        size += 1
    for i in range(n_left - 1, 0, -1):
        hull[size] = order[left[i]]
        size += 1
    stop = -1
    if n_left > 2:
        stop = left[1]
    elif n_right > 2:
        stop = right[n_right - 2]
    n_left = _quarter(xs, ys, 0, lowest, 1, -1, left)
    n_right = _quarter(xs, ys, n - 1, lowest, 1, 1, right)
    check = -1
    if n_left > 2:
        check = left[1]
    elif n_left + n_right > 2:
        check = right[2 - n_left]
    if stop >= 0 and check >= 0 and xs[check] == xs[stop] and ys[check] == ys[stop]:
        # All points on a line: the second half only repeats the first.
        n_left, n_right = min(n_left, 2), min(n_right, 2)
    for i in range(n_left - 1):
        hull[size] = order[left[i]]
        size += 1
    for i in range(n_right - 1, 0, -1):
        hull[size] = order[right[i]]
        size += 1
    if size >= 3:
        _start_at_an_end(hull, size, keys)
    return size


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
