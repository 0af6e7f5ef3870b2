"""Which words' centres lie in which detections, and how much of a detection lies on a word: compiled.

A pair is a word and a detection that holds at least one of its centres, or an ignored word and a detection
that it touches. The share of the detection's area is worked out here where both outlines are simple and the
word is convex (``clipping``); elsewhere it is NaN and shapely is asked.
Coordinates of outlines are integers in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optdet.compiled import compiled
from optdet.metrics.clipping import clipping_room, is_simple, ring_box, shared_area


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
def _words_met(word_boxes: Any, left: float, top: float, right: float, bottom: float, met: Any) -> int:
    """Write the words whose boxes meet a detection's; how many there are.

    A loop of its own: in one that makes its arrays anew when they are full, numba counts references at every
    step, which costs ten times the comparison. A pixel of slack, as in ``rings.points_inside``; a centre may
    lie outside its word's box.
    """
    n = 0
    for g in range(len(word_boxes)):
        if word_boxes[g, 0] > right + 1 or word_boxes[g, 2] < left - 1:
            continue
        if word_boxes[g, 1] > bottom + 1 or word_boxes[g, 3] < top - 1:
            continue
        met[n] = g
        n += 1
    return n


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
    px, py = clipping_room(starts, word_starts)
    room, centre_room = 4 * n_detections + 16, 40 * n_detections + 64
    pair_starts = np.zeros(n_detections + 1, dtype=np.int64)
    words, inside, shares = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.float64)
    held_starts, held = np.zeros(room + 1, dtype=np.int64), np.empty(centre_room, dtype=np.int32)
    n_pairs = n_held = 0
    met = np.empty(n_words, dtype=np.int64)
    for d in range(n_detections):
        start, size = starts[d], starts[d + 1] - starts[d]
        left, top, right, bottom = ring_box(points, start, size)
        simple = -1
        n_met = _words_met(word_boxes, left, top, right, bottom, met)
        for i in range(n_met):
            g = met[i]
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
                    simple = 1 if is_simple(points, start, size) else 0
                if simple == 1:
                    first, n = word_starts[g], word_starts[g + 1] - word_starts[g]
                    share = (
                        shared_area(points, start, size, word_points, first, n, word_turns[g], px, py)
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
