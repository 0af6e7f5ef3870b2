"""Convex hulls of integer points, compiled: the corners that OpenCV 5 finds, in its order.

Sklansky's hull (1982) of the points sorted by x, a quarter at a time, turned so that its indices ascend or
descend where they can: which of two equal rectangles is the smallest depends on where a hull begins.

Points are (n, 2), integers, below 2**19 in size.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optdet.compiled import compiled

HullBuffers = tuple[Any, Any, Any]
"""What :func:`hull_buffers` makes: integers (7, n), of which row 0 is the hull, and singles (5, n) and
(8,)."""

_INDEX_BITS = 20
_OFFSET = 1 << 19


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
