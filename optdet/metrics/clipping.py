"""How much of a polygon lies inside a convex word, compiled: by clipping (Sutherland and Hodgman, 1974).

Rings lie behind one another in ``points`` (P, 2), float64; one is its first index and its size. Areas are
good to about 1e-10 of the polygon's own; metrics ask shapely wherever the last digits may matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optdet.compiled import compiled


@compiled
def convex_turns(points: Any, start: int, size: int) -> int:
    """1 or -1 for a ring that turns one way only, once around, with an area; else 0."""
    direction, n_tops = 0, 0
    for i in range(size):
        a, b, c = start + i, start + (i + 1) % size, start + (i + 2) % size
        ux, uy = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1]
        vx, vy = points[c, 0] - points[b, 0], points[c, 1] - points[b, 1]
        turn = ux * vy - uy * vx
        if turn == 0:
            if ux * vx + uy * vy <= 0:
                return 0
            continue
        if direction == 0:
            direction = 1 if turn > 0 else -1
        elif (turn > 0) != (direction > 0):
            return 0
        if (uy < 0 or (uy == 0 and ux < 0)) and not (vy < 0 or (vy == 0 and vx < 0)):
            n_tops += 1
    return direction if n_tops == 1 else 0


@compiled
def all_convex_turns(points: Any, starts: Any) -> Any:
    """:func:`convex_turns` of n rings, ``starts`` (n + 1,); 0 for one without points."""
    turns = np.zeros(len(starts) - 1, dtype=np.int64)
    for i in range(len(turns)):
        size = starts[i + 1] - starts[i]
        if size > 0:
            turns[i] = convex_turns(points, starts[i], size)
    return turns


@compiled
def _side(ax: float, ay: float, bx: float, by: float, px: float, py: float) -> float:
    return (bx - ax) * (py - ay) - (by - ay) * (px - ax)


@compiled
def is_simple(points: Any, start: int, size: int) -> bool:
    """Whether no two edges of a ring touch but neighbours at their common end."""
    if convex_turns(points, start, size) != 0:
        return True
    for i in range(size):
        a, b = start + i, start + (i + 1) % size
        ax, ay, bx, by = points[a, 0], points[a, 1], points[b, 0], points[b, 1]
        c = start + (i + 2) % size
        if (
            _side(ax, ay, bx, by, points[c, 0], points[c, 1]) == 0
            and (bx - ax) * (points[c, 0] - bx) + (by - ay) * (points[c, 1] - by) <= 0
        ):
            return False
        for j in range(i + 2, size):
            if i == 0 and j == size - 1:
                continue
            c, d = start + j, start + (j + 1) % size
            cx, cy, dx, dy = points[c, 0], points[c, 1], points[d, 0], points[d, 1]
            if max(cx, dx) < min(ax, bx) or min(cx, dx) > max(ax, bx):
                continue
            if max(cy, dy) < min(ay, by) or min(cy, dy) > max(ay, by):
                continue
            one, two = _side(ax, ay, bx, by, cx, cy), _side(ax, ay, bx, by, dx, dy)
            three, four = _side(cx, cy, dx, dy, ax, ay), _side(cx, cy, dx, dy, bx, by)
            if one * two <= 0 and three * four <= 0:
                return False
    return True


@compiled
def ring_box(points: Any, start: int, size: int) -> tuple[float, float, float, float]:
    """The bounding box, x1, y1, x2, y2."""
    left = right = points[start, 0]
    top = bottom = points[start, 1]
    for i in range(start + 1, start + size):
        left, right = min(left, points[i, 0]), max(right, points[i, 0])
        top, bottom = min(top, points[i, 1]), max(bottom, points[i, 1])
    return left, top, right, bottom


@compiled
def clipping_room(starts: Any, word_starts: Any) -> tuple[Any, Any]:
    """Room (2, n) for the x and the y of the rings ``starts`` (D + 1,) while a word cuts them: for all but
    those that zigzag around it, of which each side of the word may cut every turn anew."""
    longest, longest_word = 0, 0
    for d in range(len(starts) - 1):
        longest = max(longest, starts[d + 1] - starts[d])
    for g in range(len(word_starts) - 1):
        longest_word = max(longest_word, word_starts[g + 1] - word_starts[g])
    n = 2 * longest + longest_word + 8
    return np.empty((2, n)), np.empty((2, n))


@compiled
def shared_area(
    ring: Any, start: int, size: int, word: Any, first: int, n: int, turn: int, px: Any, py: Any
) -> float:
    """Area of a simple ring inside a convex word, NaN where it has more corners on the way than there is room
    for; px and py (2, room) hold the ring as it is cut."""
    ox, oy = ring[start, 0], ring[start, 1]
    for i in range(size):
        px[0, i], py[0, i] = ring[start + i, 0] - ox, ring[start + i, 1] - oy
    here, m = 0, size
    for e in range(n):
        ax, ay = word[first + e, 0] - ox, word[first + e, 1] - oy
        following = first + (e + 1) % n
        bx, by = word[following, 0] - ox, word[following, 1] - oy
        there, kept = 1 - here, 0
        x1, y1 = px[here, m - 1], py[here, m - 1]
        s1 = turn * _side(ax, ay, bx, by, x1, y1)
        for i in range(m):
            if kept + 2 > px.shape[1]:
                return np.nan
            x2, y2 = px[here, i], py[here, i]
            s2 = turn * _side(ax, ay, bx, by, x2, y2)
            if (s1 >= 0) != (s2 >= 0):
                share = s1 / (s1 - s2)
                px[there, kept], py[there, kept] = x1 + share * (x2 - x1), y1 + share * (y2 - y1)
                kept += 1
            if s2 >= 0:
                px[there, kept], py[there, kept] = x2, y2
                kept += 1
            x1, y1, s1 = x2, y2, s2
        here, m = there, kept
        if m < 3:
            return 0.0
    doubled = 0.0
    for i in range(m):
        j = i + 1 if i + 1 < m else 0
        doubled += px[here, i] * py[here, j] - px[here, j] * py[here, i]
    return abs(doubled) / 2
