"""Which words' centres lie in which detections, and how much of a detection lies on a word: compiled.

A pair is a word and a detection that holds at least one of its centres, or an ignored word and a detection
that it touches. The share of the detection's area is worked out here where both outlines are simple and the
word is convex, by clipping (Sutherland and Hodgman, 1974); elsewhere it is NaN and shapely is asked.
Coordinates of outlines are integers in float64.
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
def _holds(points: Any, start: int, size: int, x: float, y: float) -> bool:
    """Even-odd, half-open in y, strict in x, as ``rings.points_inside``: keep the order of the operations."""
    odd = False
    j = start + size - 1
    x1, y1 = points[j, 0], points[j, 1]
    for i in range(start, start + size):
        x2, y2 = points[i, 0], points[i, 1]
        if (y1 <= y) != (y2 <= y) and x < (x1 - x2) * (y - y2) / (y1 - y2) + x2:
            odd = not odd
        x1, y1 = x2, y2
    return odd


@compiled
def _shared_area(
    ring: Any, start: int, size: int, word: Any, first: int, n: int, turn: int, px: Any, py: Any
) -> float:
    """Area of a simple ring inside a convex word; px and py (2, room) hold the ring as it is cut."""
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


@compiled
def find_pairs(
    points: Any,
    starts: Any,
    areas: Any,
    word_points: Any,
    word_starts: Any,
    word_turns: Any,
    word_boxes: Any,
    word_ignored: Any,
    centres: Any,
    centre_starts: Any,
) -> Any:
    """Pairs of D detections with G words, by detection, then by word.

    ``points``, ``starts`` (D + 1,): the detections' rings; ``areas`` (D,) theirs. Words alike;
    ``word_turns`` as :func:`convex_turns`, 0 for a word whose region is not its own ring. Returns pair
    starts (D + 1,), words, numbers of centres inside, shares of the area (NaN where they are not known),
    starts of the centres inside (pairs + 1,) and these centres.
    """
    n_detections, n_words = len(starts) - 1, len(word_starts) - 1
    longest, longest_word = 0, 0
    for d in range(n_detections):
        longest = max(longest, starts[d + 1] - starts[d])
    for g in range(n_words):
        longest_word = max(longest_word, word_starts[g + 1] - word_starts[g])
    px, py = np.empty((2, 2 * longest + longest_word + 8)), np.empty((2, 2 * longest + longest_word + 8))
    room, centre_room = 4 * n_detections + 16, 40 * n_detections + 64
    pair_starts = np.zeros(n_detections + 1, dtype=np.int64)
    words, inside, shares = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.float64)
    held_starts, held = np.zeros(room + 1, dtype=np.int64), np.empty(centre_room, dtype=np.int32)
    n_pairs = n_held = 0
    for d in range(n_detections):
        start, size = starts[d], starts[d + 1] - starts[d]
        left = right = points[start, 0]
        top = bottom = points[start, 1]
        for i in range(start + 1, start + size):
            left, right = min(left, points[i, 0]), max(right, points[i, 0])
            top, bottom = min(top, points[i, 1]), max(bottom, points[i, 1])
        simple = -1
        for g in range(n_words):
            # A pixel of slack, as in ``rings.points_inside``; a centre may lie outside its word's box.
            box = word_boxes[g]
            if box[0] > right + 1 or box[2] < left - 1 or box[1] > bottom + 1 or box[3] < top - 1:
                continue
            if n_held + centre_starts[g + 1] - centre_starts[g] > len(held):
                larger = np.empty(2 * len(held) + centre_starts[g + 1] - centre_starts[g], dtype=np.int32)
                larger[:n_held] = held[:n_held]
                held = larger
            before = n_held
            for c in range(centre_starts[g], centre_starts[g + 1]):
                x, y = centres[c, 0], centres[c, 1]
                if x < left - 1 or x > right + 1 or y < top - 1 or y > bottom + 1:
                    continue
                if _holds(points, start, size, x, y):
                    held[n_held] = c
                    n_held += 1
            if n_held == before and not word_ignored[g]:
                continue
            if n_pairs == len(words):
                words, inside = np.append(words, words), np.append(inside, inside)
                shares = np.append(shares, shares)
                held_starts = np.append(held_starts, held_starts)
            share = np.nan
            if areas[d] == 0:
                share = 0.0
            elif word_turns[g] != 0:
                if simple < 0:
                    simple = (
                        1 if convex_turns(points, start, size) != 0 or is_simple(points, start, size) else 0
                    )
                if simple == 1:
                    first, n = word_starts[g], word_starts[g + 1] - word_starts[g]
                    share = (
                        _shared_area(points, start, size, word_points, first, n, word_turns[g], px, py)
                        / areas[d]
                    )
            words[n_pairs], inside[n_pairs], shares[n_pairs] = g, n_held - before, share
            n_pairs += 1
            held_starts[n_pairs] = n_held
        pair_starts[d + 1] = n_pairs
    return (
        pair_starts,
        words[:n_pairs].copy(),
        inside[:n_pairs].copy(),
        shares[:n_pairs].copy(),
        held_starts[: n_pairs + 1].copy(),
        held[:n_held].copy(),
    )
