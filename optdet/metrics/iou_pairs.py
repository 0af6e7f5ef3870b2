"""Which detections may share enough with which words, and how much area they share: compiled.

Bounding boxes rule most pairs out: what two polygons share is at most what their boxes do. The shared area
of the others is worked out where the detection's outline is simple and the word convex (``clipping``); it is
NaN elsewhere, and shapely is asked.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optdet.compiled import compiled
from optdet.metrics.clipping import clipping_room, is_simple, ring_box, shared_area


@compiled
def find_overlaps(
    points: Any,
    starts: Any,
    word_points: Any,
    word_starts: Any,
    word_turns: Any,
    word_boxes: Any,
    word_areas: Any,
    word_ignored: Any,
    min_shared: float,
    min_covered: float,
) -> Any:
    """Pairs of D detections with G words, by detection, then by word: the detections' areas and what they
    share with the words (pairs,), NaN where not known; and detections and words (pairs, 2).

    ``points``, ``starts`` (D + 1,): the detections' rings; words alike. ``word_turns`` as
    ``convex_turns``, 0 for a word whose region is not its own ring. Left out are pairs that share less than
    ``min_shared`` of the sum of their areas or, of an ignored word, less than ``min_covered`` of the
    detection's.
    """
    n_detections, n_words = len(starts) - 1, len(word_starts) - 1
    px, py = clipping_room(starts, word_starts)
    room, n_pairs = 2 * n_detections + 16, 0
    pairs, areas, shared = np.empty((room, 2), np.int64), np.empty(room), np.empty(room)
    for d in range(n_detections):
        start, size = starts[d], starts[d + 1] - starts[d]
        left, top, right, bottom = ring_box(points, start, size)
        simple, area = -1, np.nan
        for g in range(n_words):
            across = min(right, word_boxes[g, 2]) - max(left, word_boxes[g, 0])
            down = min(bottom, word_boxes[g, 3]) - max(top, word_boxes[g, 1])
            # A word that is matched shares at least min_shared of its own area, whatever the detection's.
            least = 0.0 if word_ignored[g] else min_shared * word_areas[g]
            if across <= 0 or down <= 0 or across * down < least:
                continue
            if simple < 0:
                simple = 1 if is_simple(points, start, size) else 0
                area = _area(points, start, size)
            common = np.nan
            if simple == 1:
                least = min_covered * area if word_ignored[g] else min_shared * (area + word_areas[g])
                if across * down < least:
                    continue
                if word_turns[g] != 0:
                    first, n = word_starts[g], word_starts[g + 1] - word_starts[g]
                    common = shared_area(points, start, size, word_points, first, n, word_turns[g], px, py)
                    if common < least:
                        continue
            if n_pairs == len(shared):
                pairs = np.concatenate((pairs, pairs))
                areas, shared = np.append(areas, areas), np.append(shared, shared)
            pairs[n_pairs, 0], pairs[n_pairs, 1] = d, g
            areas[n_pairs], shared[n_pairs] = area, common
            n_pairs += 1
    return areas[:n_pairs].copy(), shared[:n_pairs].copy(), pairs[:n_pairs].copy()


@compiled
def _area(points: Any, start: int, size: int) -> float:
    """Of a simple ring, by the shoelace formula about its first point."""
    doubled = 0.0
    for i in range(1, size - 1):
        a, b = start + i, start + i + 1
        ux, uy = points[a, 0] - points[start, 0], points[a, 1] - points[start, 1]
        vx, vy = points[b, 0] - points[start, 0], points[b, 1] - points[start, 1]
        doubled += ux * vy - uy * vx
    return abs(doubled) / 2
