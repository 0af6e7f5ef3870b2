"""Scores along falling box_thresh, for all images at once: the compiled core of the sweep.

At one thresh the candidates of all images stand in one order of falling score. Going down that order is going
through every box_thresh at which anything changes: each step adds one detection to its image, corrects that
image's counts and H-mean, and with them the sums over images. Sums of scores are kept in fixed point, so that
they do not depend on the order in which images change, and are exact to 2**-40.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

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


class LevelCandidates(NamedTuple):
    """Candidates (n,) of all images at one thresh, by falling score: image, shape, index among the image's
    contours, score."""

    images: Any
    shapes: Any
    positions: Any
    scores: Any


class CountedImages(NamedTuple):
    """I images behind one another: ``polygon_of`` (U, R) and ``tables`` as in ``CandidateLattice`` and
    ``metrics.matching``; ``word_starts`` and ``centre_starts`` (I + 1,); ``n_expected`` (I,) and ``parts``
    (I,). ``one_to_one`` takes IoU's matcher in CLEval's place."""

    polygon_of: Any
    tables: Any
    word_starts: Any
    centre_starts: Any
    n_expected: Any
    parts: Any
    one_to_one: bool


class CountedAxes(NamedTuple):
    """``max_candidates`` (M,), ``box_thresh`` (B,), ascending, and how many detections there may be."""

    max_candidates: Any
    box_thresh: Any
    max_detections: int


class Bound(NamedTuple):
    """The sum over images number ``column``, over ``scale``, must lie within ``low`` and ``high``."""

    column: int
    scale: float
    low: float
    high: float


class LevelSums(NamedTuple):
    """What is written of a level: ``sums`` (U, M, B, N_SUMS); ``parts`` (U, M, B, parts) of H-means;
    ``totals`` (U, M, B, N_TOTALS).

    ``best`` (U, M): the largest sum of H-means at any box_thresh within the range of its axis where the bound
    is kept, -1 where there is none; ``intervals`` (U, M, 2): the box_thresh from (exclusive) and to that have
    it. Unless they are empty: ``bounded`` (U, M, B, parts) of the bound's sum, and ``image_hmeans`` (U, M, B,
    I).
    """

    sums: Any
    parts: Any
    totals: Any
    bounded: Any
    best: Any
    intervals: Any
    image_hmeans: Any


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
    order: Any, image: int, candidates: Any, images: Any, axes: Any, steps: Any, changes: Any
) -> None:
    """What each candidate of one image changes when it is added: ``steps`` (U, M, n, N_SUMS), ``changes``
    (U, M, n, N_TOTALS). ``order``: the image's candidates by falling score."""
    polygon_of, tables, shapes = images.polygon_of, images.tables, candidates.shapes
    words, centres = images.word_starts[image : image + 2], images.centre_starts[image : image + 2]
    n_pairs = _largest_number_of_pairs(order, shapes, polygon_of, tables[0])
    state = matching_state(words, centres, n_pairs, len(order))
    sequence = np.empty(len(order), dtype=np.int64)
    places = candidates.positions[order]
    totals = np.empty((len(order) + 1, N_TOTALS), dtype=np.int64)
    totals[0] = 0
    for u in range(polygon_of.shape[0]):
        for m in range(len(axes.max_candidates)):
            n_added = 0
            for j in range(len(order)):
                polygon = polygon_of[u, shapes[order[j]]]
                if places[j] >= axes.max_candidates[m] or n_added >= axes.max_detections:
                    polygon = -1
                sequence[j] = polygon
                n_added += polygon >= 0
            if images.one_to_one:
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
                    precision, recall, hmean = _scores(totals[j + 1], images.n_expected[image])
                    new_h, new_p, new_r = _fixed(hmean), _fixed(precision), _fixed(recall)
                steps[u, m, i, HMEAN], steps[u, m, i, PRECISION] = new_h - now_h, new_p - now_p
                steps[u, m, i, RECALL] = new_r - now_r
                steps[u, m, i, DETECTIONS] = 1 if sequence[j] >= 0 else 0
                now_h, now_p, now_r = new_h, new_p, new_r


@compiled
def _go_down(
    u: int,
    m: int,
    steps: Any,
    changes: Any,
    candidates: Any,
    parts: Any,
    box_thresh: Any,
    bound: Any,
    level: Any,
) -> None:
    """Add candidates by falling score, and write down the sums where they hold."""
    images, scores = candidates.images, candidates.scores
    n, b = len(images), len(box_thresh) - 1
    lowest, highest = box_thresh[0], box_thresh[b]
    sums, totals = np.zeros(N_SUMS, dtype=np.int64), np.zeros(N_TOTALS, dtype=np.int64)
    in_parts = np.zeros(level.parts.shape[3], dtype=np.int64)
    bounded_in_parts = np.zeros(level.parts.shape[3], dtype=np.int64)
    of_images = np.zeros(level.image_hmeans.shape[3], dtype=np.int64)
    level.best[u, m] = -1
    for i in range(n + 1):
        score = scores[i] if i < n else -1.0
        if i == 0 or score < scores[i - 1]:
            # The sums so far hold for every box_thresh above this score, up to the last one's.
            to = scores[i - 1] if i else np.inf
            kept = bound.low <= sums[bound.column] / bound.scale <= bound.high
            if kept and score < highest and to >= lowest and sums[HMEAN] > level.best[u, m]:
                level.best[u, m] = sums[HMEAN]
                level.intervals[u, m, 0], level.intervals[u, m, 1] = score, to
            while b >= 0 and box_thresh[b] > score:
                level.sums[u, m, b] = sums
                level.parts[u, m, b] = in_parts
                level.totals[u, m, b] = totals
                if len(level.bounded):
                    level.bounded[u, m, b] = bounded_in_parts
                if len(of_images):
                    level.image_hmeans[u, m, b] = of_images / FIXED_POINT
                b -= 1
            if b < 0 and score < lowest:
                break
        if i < n:
            for t in range(N_SUMS):
                sums[t] += steps[i, t]
            for t in range(N_TOTALS):
                totals[t] += changes[i, t]
            in_parts[parts[images[i]]] += steps[i, HMEAN]
            bounded_in_parts[parts[images[i]]] += steps[i, bound.column]
            if len(of_images):
                of_images[images[i]] += steps[i, HMEAN]


@compiled
def count_level(candidates: Any, images: Any, axes: Any, bound: Any, level: Any) -> None:
    """Everything at one thresh: a ``LevelCandidates``, ``CountedImages``, ``CountedAxes`` and ``Bound`` give
    the ``LevelSums``, which are written."""
    n = len(candidates.images)
    n_ratios, n_limits = images.polygon_of.shape[0], len(axes.max_candidates)
    steps = np.empty((n_ratios, n_limits, n, N_SUMS), dtype=np.int64)
    changes = np.empty((n_ratios, n_limits, n, N_TOTALS), dtype=np.int32)
    # Image by image, so that its tables stay in the processor's cache; candidates keep their places.
    by_image = np.argsort(candidates.images, kind="mergesort")
    end = 0
    for image in range(len(images.n_expected)):
        start = end
        while end < n and candidates.images[by_image[end]] == image:
            end += 1
        _count_image(by_image[start:end], image, candidates, images, axes, steps, changes)
    for u in range(n_ratios):
        for m in range(n_limits):
            _go_down(
                u, m, steps[u, m], changes[u, m], candidates, images.parts, axes.box_thresh, bound, level
            )
