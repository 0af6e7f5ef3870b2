"""Scores along falling box_thresh, for all images at once: the compiled core of the sweep.

At one thresh the candidates of all images stand in one order of falling score. Going down that order is going
through every box_thresh at which anything changes: each step adds one detection to its image, corrects that
image's counts and H-mean, and with them the sums over images. Sums of scores are kept in fixed point, so that
they do not depend on the order in which images change, and are exact to 2**-40.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from optdet.compiled import compiled
from optdet.metrics.cleval_matching import add_in_order
from optdet.metrics.iou_matching import match_in_order
from optdet.metrics.matching import (
    FALSE_POSITIVES,
    FOUND,
    HELD,
    MERGES,
    N_TOTALS,
    SPLITS,
    matching_state,
)

FIXED_POINT: Final = 2.0**40
N_SUMS: Final = 4
"""Sums over images at a point: H-mean, precision and recall in fixed point, and detections."""
HMEAN, PRECISION, RECALL, DETECTIONS = range(N_SUMS)


@compiled
def _fixed(value: float) -> int:
    return np.int64(value * FIXED_POINT + 0.5)  # type: ignore[return-value]


@compiled
def _scores(totals: Any, n_expected: int) -> Any:
    """Precision, recall and H-mean of one image's totals, as ``CLEvalCounts`` and ``IoUCounts`` have
    them."""
    found, detected = totals[FOUND], totals[HELD] + totals[FALSE_POSITIVES]
    precision = max(0, found - totals[MERGES]) / detected if detected else 0.0
    recall = max(0, found - totals[SPLITS]) / n_expected if n_expected else 0.0
    both = precision + recall
    return precision, recall, 2 * precision * recall / both if both else 0.0


@compiled
def _largest_number_of_pairs(order: Any, shapes: Any, polygon_of: Any, detections: Any) -> int:
    """Pairs of all of an image's candidates, at the unclip ratio that has most."""
    largest = 0
    for u in range(polygon_of.shape[0]):
        n = 0
        for i in order:
            polygon = polygon_of[u, shapes[i]]
            if polygon >= 0:
                n += detections[polygon + 1, 0] - detections[polygon, 0]
        largest = max(largest, n)
    return largest


@compiled
def _count_image(
    order: Any,
    shapes: Any,
    positions: Any,
    polygon_of: Any,
    tables: Any,
    words: Any,
    centres: Any,
    n_expected: int,
    one_to_one: bool,
    max_candidates: Any,
    max_detections: int,
    steps: Any,
    changes: Any,
) -> None:
    """What each candidate of one image changes when it is added: ``steps`` (U, M, n, N_SUMS), ``changes``
    (U, M, n, N_TOTALS).

    ``order``: the image's candidates by falling score; ``words`` and ``centres``: first and end of its own.
    """
    n_pairs = _largest_number_of_pairs(order, shapes, polygon_of, tables[0])
    state = matching_state(words, centres, n_pairs, len(order))
    sequence = np.empty(len(order), dtype=np.int64)
    places = positions[order]
    totals = np.empty((len(order) + 1, N_TOTALS), dtype=np.int64)
    totals[0] = 0
    for u in range(polygon_of.shape[0]):
        for m in range(len(max_candidates)):
            n_added = 0
            for j in range(len(order)):
                polygon = polygon_of[u, shapes[order[j]]]
                if places[j] >= max_candidates[m] or n_added >= max_detections:
                    polygon = -1
                sequence[j] = polygon
                n_added += polygon >= 0
            if one_to_one:
                match_in_order(sequence, places, tables, state[0], words[0], totals[1:])
            else:
                add_in_order(sequence, tables, state, totals[1:])
            now_h = now_p = now_r = 0
            # Element by element: numba makes an array of its own for every expression of slices.
            for j in range(len(order)):
                i = order[j]
                for t in range(N_TOTALS):
                    changes[u, m, i, t] = totals[j + 1, t] - totals[j, t]
                new_h, new_p, new_r = now_h, now_p, now_r
                if sequence[j] >= 0:
                    precision, recall, hmean = _scores(totals[j + 1], n_expected)
                    new_h, new_p, new_r = _fixed(hmean), _fixed(precision), _fixed(recall)
                steps[u, m, i, HMEAN], steps[u, m, i, PRECISION] = new_h - now_h, new_p - now_p
                steps[u, m, i, RECALL] = new_r - now_r
                steps[u, m, i, DETECTIONS] = 1 if sequence[j] >= 0 else 0
                now_h, now_p, now_r = new_h, new_p, new_r


@compiled
def count_level(
    images: Any,
    shapes: Any,
    positions: Any,
    scores: Any,
    polygon_of: Any,
    tables: Any,
    word_starts: Any,
    centre_starts: Any,
    n_expected: Any,
    one_to_one: bool,
    parts: Any,
    max_candidates: Any,
    box_thresholds: Any,
    max_detections: int,
    sums: Any,
    part_sums: Any,
    global_sums: Any,
    bounded: int,
    scale: float,
    bounds: Any,
    bounded_sums: Any,
    best: Any,
    intervals: Any,
    image_hmeans: Any,
) -> None:
    """Everything at one thresh, for U unclip ratios, M values of max_candidates and B of box_thresh.

    Candidates (n,) by falling score: image, shape, index among the image's contours, score. ``polygon_of``
    (U, R) and ``tables`` as in ``CandidateLattice`` and ``metrics.matching``, with the images behind one
    another. ``word_starts`` and ``centre_starts`` (I + 1,), ``n_expected`` (I,) and ``parts`` (I,) belong
    to the images; ``one_to_one`` takes IoU's matcher in CLEval's place; ``box_thresholds`` ascend.

    Written: ``sums`` (U, M, B, N_SUMS); ``part_sums`` (U, M, B, parts) of H-means; ``global_sums`` (U, M,
    B, N_TOTALS); ``best`` (U, M), the largest sum of H-means at any box_thresh within the range of
    ``box_thresholds`` where the sum number ``bounded`` over ``scale`` lies within ``bounds``, -1 where there
    is none; ``intervals`` (U, M, 2), the box_thresh from (exclusive) and to that have it; and, unless they
    are empty, ``bounded_sums`` (U, M, B, parts) of that sum and ``image_hmeans`` (U, M, B, I).
    """
    n, n_images = len(images), len(n_expected)
    n_ratios, n_limits, n_boxes = polygon_of.shape[0], len(max_candidates), len(box_thresholds)
    steps = np.empty((n_ratios, n_limits, n, N_SUMS), dtype=np.int64)
    changes = np.empty((n_ratios, n_limits, n, N_TOTALS), dtype=np.int32)
    # Image by image, so that its tables stay in the processor's cache; candidates keep their places.
    by_image = np.argsort(images, kind="mergesort")
    end = 0
    for image in range(n_images):
        start = end
        while end < n and images[by_image[end]] == image:
            end += 1
        _count_image(
            by_image[start:end],
            shapes,
            positions,
            polygon_of,
            tables,
            word_starts[image : image + 2],
            centre_starts[image : image + 2],
            n_expected[image],
            one_to_one,
            max_candidates,
            max_detections,
            steps,
            changes,
        )
    lowest, highest = box_thresholds[0], box_thresholds[n_boxes - 1]
    fixed_hmeans = np.zeros(n_images, dtype=np.int64)
    for u in range(n_ratios):
        for m in range(n_limits):
            total, in_all = np.zeros(N_SUMS, dtype=np.int64), np.zeros(N_TOTALS, dtype=np.int64)
            in_parts = np.zeros(part_sums.shape[3], dtype=np.int64)
            bounded_in_parts = np.zeros(part_sums.shape[3], dtype=np.int64)
            fixed_hmeans[:] = 0
            best[u, m] = -1
            b = n_boxes - 1
            for i in range(n + 1):
                score = scores[i] if i < n else -1.0
                if i == 0 or score < scores[i - 1]:
                    # The sums so far hold for every box_thresh above this score, up to the last one's.
                    to = scores[i - 1] if i else np.inf
                    kept = bounds[0] <= total[bounded] / scale <= bounds[1]
                    if kept and score < highest and to >= lowest and total[HMEAN] > best[u, m]:
                        best[u, m] = total[HMEAN]
                        intervals[u, m, 0], intervals[u, m, 1] = score, to
                    while b >= 0 and box_thresholds[b] > score:
                        sums[u, m, b] = total
                        part_sums[u, m, b] = in_parts
                        global_sums[u, m, b] = in_all
                        if len(bounded_sums):
                            bounded_sums[u, m, b] = bounded_in_parts
                        if len(image_hmeans):
                            image_hmeans[u, m, b] = fixed_hmeans / FIXED_POINT
                        b -= 1
                    if b < 0 and score < lowest:
                        break
                if i < n:
                    for t in range(N_SUMS):
                        total[t] += steps[u, m, i, t]
                    for t in range(N_TOTALS):
                        in_all[t] += changes[u, m, i, t]
                    in_parts[parts[images[i]]] += steps[u, m, i, HMEAN]
                    bounded_in_parts[parts[images[i]]] += steps[u, m, i, bounded]
                    fixed_hmeans[images[i]] += steps[u, m, i, HMEAN]
