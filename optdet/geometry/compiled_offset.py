"""Quads grown by a distance, compiled: point for point what ``offset.offset_polygon`` gives for them; and
shrunk, for targets, to a pixel.

Clipper (Vatti, 1992; Johnson's version 6) first writes an outline with a rounded corner at every vertex, then
takes the union of that outline with itself. For a convex quad the union changes nothing but the start and
collinear points, so the outline alone is enough. Where that is not certain the answer is ``UNSURE``, and the
caller asks Clipper: a flat or crossing quad, or one that grows so little that rounding may cut it.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from optdet.compiled import compiled

UNSURE: Final = -1
_ARC_TOLERANCE = 0.25
"""Clipper's default: how far a corner's chords may lie from its circle, in pixels."""
_MIN_DISTANCE = 1.0
"""Pixels of growth below which a sliver stays so thin that Clipper's rounding may swallow a corner."""
_MIN_DENTED = 3.0
"""Pixels of growth from which a dent of rounding (one pixel) cannot reach the other side."""
_POINTS_A_CORNER = 3


@compiled
def offset_buffers(largest_distance: float) -> Any:
    """Room for the outline of a quad grown by at most ``largest_distance`` pixels."""
    # Chords within the tolerance: pi / acos(1 - .25 / d) of them, about 2.3 sqrt(d) for a large d.
    n_points = 4 * _POINTS_A_CORNER + 8 * math.ceil(math.sqrt(max(largest_distance, 1.0)) + 4)
    return np.empty((4, n_points), dtype=np.int64)


@compiled
def quad_distance(quad: Any, unclip_ratio: float) -> float:
    """``offset.unclip_distance`` of a quad, to the last bit."""
    doubled, length = 0.0, 0.0
    first = np.float64(quad[0, 0])
    for i in range(1, 4):
        rise = np.float64(quad[(i + 1) & 3, 1]) - np.float64(quad[i - 1, 1])
        doubled += (np.float64(quad[i, 0]) - first) * rise
    for i in range(4):
        j = (i + 1) & 3
        dx = np.float64(quad[j, 0]) - np.float64(quad[i, 0])
        dy = np.float64(quad[j, 1]) - np.float64(quad[i, 1])
        length += math.sqrt(dx * dx + dy * dy)
    if length <= 0:
        return 0.0
    return abs(doubled / 2) * unclip_ratio / length


@compiled
def _rounded(value: float) -> int:
    return np.int64(value - 0.5) if value < 0 else np.int64(value + 0.5)  # type: ignore[return-value]


@compiled
def _outline(xs: Any, ys: Any, distance: float, px: Any, py: Any) -> int:
    """Clipper's outline around a clockwise quad: its length, or UNSURE at a corner that turns the other
    way."""
    tolerance = min(_ARC_TOLERANCE, distance * _ARC_TOLERANCE)
    steps = min(math.pi / math.acos(1 - tolerance / distance), distance * math.pi)
    sine, cosine = math.sin(2 * math.pi / steps), math.cos(2 * math.pi / steps)
    steps_per_radian = steps / (2 * math.pi)
    nx, ny = np.empty(4), np.empty(4)
    for i in range(4):
        j = (i + 1) & 3
        dx, dy = xs[j] - xs[i], ys[j] - ys[i]
        scale = 1.0 / math.sqrt(dx * dx + dy * dy)
        nx[i], ny[i] = dy * scale, -(dx * scale)
    n, k = 0, 3
    for j in range(4):
        sin_turn = nx[k] * ny[j] - nx[j] * ny[k]
        cos_turn = nx[k] * nx[j] + ny[j] * ny[k]
        if abs(sin_turn * distance) < 1.0:
            if cos_turn > 0:  # almost straight on: one point, and the normal before stays in use
                px[n], py[n] = _rounded(xs[j] + nx[k] * distance), _rounded(ys[j] + ny[k] * distance)
                n += 1
                continue
        else:
            sin_turn = min(1.0, max(-1.0, sin_turn))
        if sin_turn < 0:
            return UNSURE
        n_chords = max(_rounded(steps_per_radian * abs(math.atan2(sin_turn, cos_turn))), 1)
        x, y = nx[k], ny[k]
        for _ in range(n_chords):
            px[n], py[n] = _rounded(xs[j] + x * distance), _rounded(ys[j] + y * distance)
            n += 1
            x, y = x * cosine - sine * y, x * sine + y * cosine
        px[n], py[n] = _rounded(xs[j] + nx[j] * distance), _rounded(ys[j] + ny[j] * distance)
        n += 1
        k = j
    return n


@compiled
def _without_repeats(px: Any, py: Any, n: int) -> int:
    m = 0
    for i in range(n):
        if m == 0 or px[m - 1] != px[i] or py[m - 1] != py[i]:
            px[m], py[m] = px[i], py[i]
            m += 1
    while m > 1 and px[0] == px[m - 1] and py[0] == py[m - 1]:
        m -= 1
    return m


@compiled
def grown_quad(quad: Any, distance: float, outline: Any, buffers: Any) -> int:
    """Write the outline (n, 2) of a quad (4, 2) grown by ``distance``; n, or UNSURE, or -n.

    -n: these are Clipper's points, but rounding has given the outline a second top, so that Clipper may
    begin at another one.

    The order of the points is Clipper's: clockwise on the screen, the topmost and rightmost one last.
    """
    px, py, kept_x, kept_y = buffers[0], buffers[1], buffers[2], buffers[3]
    xs, ys = np.empty(4), np.empty(4)
    for i in range(4):
        xs[i], ys[i] = np.trunc(np.float64(quad[i, 0])), np.trunc(np.float64(quad[i, 1]))
    for i in range(4):
        j, k = (i + 1) & 3, (i + 2) & 3
        if (xs[j] - xs[i]) * (ys[k] - ys[j]) - (ys[j] - ys[i]) * (xs[k] - xs[j]) <= 0:
            return UNSURE
    if distance < _MIN_DISTANCE:
        return UNSURE
    n = _outline(xs, ys, distance, px, py)
    if n == UNSURE:
        return UNSURE
    n = _without_repeats(px, py, n)
    size = 0
    dented = False
    for i in range(n):
        h, j = (i - 1 if i else n - 1), (i + 1 if i + 1 < n else 0)
        ax, ay, bx, by = px[i] - px[h], py[i] - py[h], px[j] - px[i], py[j] - py[i]
        turn = ax * by - ay * bx
        if turn == 0:
            if ax * bx + ay * by < 0:
                return UNSURE
            continue
        dented |= turn < 0
        kept_x[size], kept_y[size] = px[i], py[i]
        size += 1
    if size < 3 or (dented and distance < _MIN_DENTED):
        return UNSURE
    n_tops, last = 0, 0
    for i in range(size):
        h, j = (i - 1 if i else size - 1), (i + 1 if i + 1 < size else 0)
        if kept_y[i] < kept_y[h] and kept_y[i] <= kept_y[j]:
            n_tops += 1
        if kept_y[i] < kept_y[last] or (kept_y[i] == kept_y[last] and kept_x[i] > kept_x[last]):
            last = i
    for i in range(size):
        index = last + 1 + i
        if index >= size:
            index -= size
        outline[i, 0], outline[i, 1] = kept_x[index], kept_y[index]
    return size if n_tops == 1 else -size


@compiled
def shrunk_quad(quad: Any, distance: float, core: Any) -> bool:
    """Write the corners (4, 2) of a quad shrunk by ``distance``; False where it is no clockwise convex quad,
    or does not stay one.

    As Clipper does: truncated corners, the ends of each moved side rounded, and their lines' crossings too.
    Where a crossing lies near half a pixel, Clipper's own rounding on the way may give its neighbour.
    """
    xs, ys = np.empty(4), np.empty(4)
    for i in range(4):
        xs[i], ys[i] = np.trunc(quad[i, 0]), np.trunc(quad[i, 1])
    moved = np.empty((4, 4))
    for i in range(4):
        j, k = (i + 1) & 3, (i + 2) & 3
        dx, dy = xs[j] - xs[i], ys[j] - ys[i]
        if dx * (ys[k] - ys[j]) - dy * (xs[k] - xs[j]) <= 0:
            return False
        scale = distance / math.sqrt(dx * dx + dy * dy)
        moved[i, 0], moved[i, 1] = _rounded(xs[i] - dy * scale), _rounded(ys[i] + dx * scale)
        moved[i, 2], moved[i, 3] = _rounded(xs[j] - dy * scale), _rounded(ys[j] + dx * scale)
    for i in range(4):
        before = (i - 1) & 3
        ax, ay = moved[before, 2] - moved[before, 0], moved[before, 3] - moved[before, 1]
        bx, by = moved[i, 2] - moved[i, 0], moved[i, 3] - moved[i, 1]
        cross = ax * by - ay * bx
        if cross <= 0:
            return False
        share = ((moved[i, 0] - moved[before, 0]) * by - (moved[i, 1] - moved[before, 1]) * bx) / cross
        core[i, 0] = _rounded(moved[before, 0] + share * ax)
        core[i, 1] = _rounded(moved[before, 1] + share * ay)
    for i in range(4):
        j, k = (i + 1) & 3, (i + 2) & 3
        dx, dy = core[j, 0] - core[i, 0], core[j, 1] - core[i, 1]
        # A side that has turned round: the quad has become a triangle, or nothing.
        if dx * (xs[j] - xs[i]) + dy * (ys[j] - ys[i]) <= 0:
            return False
        if dx * (core[k, 1] - core[j, 1]) - dy * (core[k, 0] - core[j, 0]) <= 0:
            return False
    return True
