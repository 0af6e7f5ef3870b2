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
from optdet.metrics.cleval_matching import (
    FALSE_POSITIVES,
    FOUND,
    HELD,
    MERGES,
    N_TOTALS,
    SPLITS,
    add_detection,
    clear,
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
def _scores(totals: Any, n_characters: int) -> Any:
    """Precision, recall and H-mean of one image's totals, as ``CLEvalCounts`` has them."""
    found, detected = totals[FOUND], totals[HELD] + totals[FALSE_POSITIVES]
    precision = max(0, found - totals[MERGES]) / detected if detected else 0.0
    recall = max(0, found - totals[SPLITS]) / n_characters if n_characters else 0.0
    both = precision + recall
    return precision, recall, 2 * precision * recall / both if both else 0.0


@compiled
def largest_number_of_pairs(shapes: Any, polygon_of: Any, detections: Any) -> int:
    """Pairs of all of a level's candidates, at the unclip ratio that has most."""
    largest = 0
    for u in range(polygon_of.shape[0]):
        n = 0
        for shape in shapes:
            polygon = polygon_of[u, shape]
            if polygon >= 0:
                n += detections[polygon + 1, 0] - detections[polygon, 0]
        largest = max(largest, n)
    return largest


@compiled
def count_level(
    images: Any,
    shapes: Any,
    positions: Any,
    scores: Any,
    polygon_of: Any,
    tables: Any,
    n_words: int,
    n_centres: int,
    n_characters: Any,
    parts: Any,
    max_candidates: Any,
    box_thresholds: Any,
    max_detections: int,
    sums: Any,
    part_sums: Any,
    global_sums: Any,
    best: Any,
    intervals: Any,
    image_hmeans: Any,
) -> None:
    """Everything at one thresh, for U unclip ratios, M values of max_candidates and B of box_thresh.

    Candidates (n,) by falling score: image, shape, index among the image's contours, score. ``polygon_of``
    (U, R) and ``tables`` as in ``CandidateLattice`` and ``cleval_matching``, with the images behind one
    another. ``n_characters`` (I,) and ``parts`` (I,) belong to the images; ``box_thresholds`` ascend.

    Written: ``sums`` (U, M, B, N_SUMS); ``part_sums`` (U, M, B, parts) of H-means; ``global_sums`` (U, M,
    B, N_TOTALS); ``best`` (U, M), the largest sum of H-means at any box_thresh within the range of
    ``box_thresholds``, and ``intervals`` (U, M, 2), the box_thresh from (exclusive) and to that have it;
    and, unless it is empty, ``image_hmeans`` (U, M, B, I).
    """
    n, n_images, n_boxes = len(images), len(n_characters), len(box_thresholds)
    state = matching_state(n_words, n_centres, largest_number_of_pairs(shapes, polygon_of, tables[0]), n)
    totals = np.empty((n_images, N_TOTALS), dtype=np.int64)
    now = np.empty((n_images, 3), dtype=np.int64)
    hmeans = np.empty(n_images, dtype=np.float32)
    counts = np.empty(n_images, dtype=np.int64)
    lowest, highest = box_thresholds[0], box_thresholds[n_boxes - 1]
    for u in range(polygon_of.shape[0]):
        for m in range(len(max_candidates)):
            clear(state)
            totals[:], now[:], counts[:], hmeans[:] = 0, 0, 0, 0
            total, in_all = np.zeros(N_SUMS, dtype=np.int64), np.zeros(N_TOTALS, dtype=np.int64)
            in_parts = np.zeros(part_sums.shape[3], dtype=np.int64)
            best[u, m] = -1
            b = n_boxes - 1
            for i in range(n + 1):
                score = scores[i] if i < n else -1.0
                if i == 0 or score < scores[i - 1]:
                    # The sums so far hold for every box_thresh above this score, up to the last one's.
                    to = scores[i - 1] if i else np.inf
                    if score < highest and to >= lowest and total[HMEAN] > best[u, m]:
                        best[u, m] = total[HMEAN]
                        intervals[u, m, 0], intervals[u, m, 1] = score, to
                    while b >= 0 and box_thresholds[b] > score:
                        sums[u, m, b] = total
                        part_sums[u, m, b] = in_parts
                        global_sums[u, m, b] = in_all
                        if len(image_hmeans):
                            image_hmeans[u, m, b] = hmeans
                        b -= 1
                    if b < 0 and score < lowest:
                        break
                if i == n:
                    break
                image = images[i]
                polygon = polygon_of[u, shapes[i]]
                if polygon < 0 or positions[i] >= max_candidates[m] or counts[image] >= max_detections:
                    continue
                row = totals[image]
                in_all -= row
                add_detection(polygon, tables, state, row)
                in_all += row
                counts[image] += 1
                total[DETECTIONS] += 1
                precision, recall, hmean = _scores(row, n_characters[image])
                hmeans[image] = hmean
                change = _fixed(hmean) - now[image, HMEAN]
                total[HMEAN] += change
                in_parts[parts[image]] += change
                now[image, HMEAN] += change
                change = _fixed(precision) - now[image, PRECISION]
                total[PRECISION] += change
                now[image, PRECISION] += change
                change = _fixed(recall) - now[image, RECALL]
                total[RECALL] += change
                now[image, RECALL] += change
