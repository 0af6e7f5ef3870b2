"""Every threshold of a frozen detector, exactly: scores over a whole lattice of post-processing parameters.

thresh and unclip_ratio lie on a lattice, max_candidates on a list; box_thresh is continuous, every value at
which anything changes, and is recorded on a lattice as well. What is found at a point is what the plain
pipeline (``MapDetector.detect``, clipping and the cap included, then ``cleval`` or ``match_iou``) gives
there, count for count.

Contours, shapes, polygons and their relations to the words are computed once, by image
(``detection.lattice``, ``sweep_relations``); after that a configuration costs the detections by which
it differs from its neighbour. Threads share the work over images, then over thresholds: compiled code holds
no lock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdet.detection.lattice import CandidateLattice, find_candidates
from optdet.detection.postprocess import MAX_DETECTIONS
from optdet.evaluation.constraint import Constraint
from optdet.evaluation.landscape import Landscape, SweepBest, SweepImage, SweepLattice, chosen_shapes
from optdet.evaluation.scorer import N_PARTS, part_of
from optdet.evaluation.sweep_counting import (
    DETECTIONS,
    FIXED_POINT,
    HMEAN,
    N_SUMS,
    PRECISION,
    RECALL,
    count_level,
)
from optdet.evaluation.sweep_relations import ImageRelations, JoinedRelations, join, relate_candidates
from optdet.metrics.matching import N_TOTALS
from optdet.structures import FloatArray, Metric

OnImage = Callable[[int, int], None]


def sweep(
    images: Sequence[SweepImage],
    lattice: SweepLattice,
    *,
    metric: Metric = "competition",
    workers: int = 1,
    by_image: bool = False,
    constraint: Constraint | None = None,
    on_image: OnImage | None = None,
) -> Landscape:
    """Score the whole lattice; ``by_image`` keeps the H-mean of each image at each point.
    The best point keeps the ``constraint``.

    Values of max_candidates above the largest number of contours are left out: they are the same as the
    first such.

    ``on_image(done, total)`` is called as images are prepared. Raises ValueError for no images, and for a
    map that is not float16.
    """
    if not images:
        raise ValueError("no images to score")
    joined = _prepare(images, lattice, metric, workers, on_image)
    lattice = replace(lattice, max_candidates=_effective(lattice.max_candidates, joined.candidates))
    return _count(images, lattice, metric, joined, workers, by_image, constraint)


def _prepare(
    images: Sequence[SweepImage],
    lattice: SweepLattice,
    metric: Metric,
    workers: int,
    on_image: OnImage | None,
) -> JoinedRelations:
    def one(image: SweepImage) -> tuple[CandidateLattice, ImageRelations]:
        candidates = find_candidates(
            image.prob_map,
            image.letterbox,
            lattice.thresh,
            lattice.unclip_ratio,
            use_polygon=lattice.use_polygon,
            min_side=lattice.min_side,
        )
        return candidates, relate_candidates(image.words, candidates, metric)

    prepared = []
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for done, result in enumerate(pool.map(one, images), start=1):
            prepared.append(result)
            if on_image is not None:
                on_image(done, len(images))
    return join([candidates for candidates, _ in prepared], [relations for _, relations in prepared])


def _count(
    images: Sequence[SweepImage],
    lattice: SweepLattice,
    metric: Metric,
    joined: JoinedRelations,
    workers: int,
    by_image: bool,
    constraint: Constraint | None,
) -> Landscape:
    axes = (
        len(lattice.thresh),
        len(lattice.unclip_ratio),
        len(lattice.max_candidates),
        len(lattice.box_thresh),
    )
    sums = np.zeros((*axes, N_SUMS), dtype=np.int64)
    part_sums = np.zeros((*axes, N_PARTS), dtype=np.int64)
    global_sums = np.zeros((*axes, N_TOTALS), dtype=np.int64)
    best = np.zeros(axes[:3], dtype=np.int64)
    intervals = np.zeros((*axes[:3], 2), dtype=np.float64)
    hmeans = np.zeros((*axes, len(images)), dtype=np.float32) if by_image else None
    parts = np.array([part_of(image.name) for image in images], dtype=np.int64)
    boxes = np.array(lattice.box_thresh, dtype=np.float64)
    nothing = np.zeros((0, 0, 0, 0), dtype=np.float32)
    bounded = {"precision": PRECISION, "recall": RECALL}.get(
        constraint.metric if constraint else "", DETECTIONS
    )
    scale = 1.0 if bounded == DETECTIONS else FIXED_POINT * len(images)
    bounds = np.array(constraint.bounds if constraint else (-np.inf, np.inf))
    bounded_sums = np.zeros((*axes, N_PARTS) if constraint else (axes[0], 0, 0, 0, 0), dtype=np.int64)

    def level(k: int) -> None:
        chosen, shapes, positions, scores = _level_candidates(joined, k)
        limits = _limits(lattice.max_candidates, positions)
        n = len(limits)
        count_level(
            chosen,
            shapes,
            positions,
            scores,
            joined.polygon_of,
            joined.tables,
            joined.word_starts,
            joined.centre_starts,
            joined.n_expected,
            joined.one_to_one,
            parts,
            limits,
            boxes,
            MAX_DETECTIONS,
            sums[k],
            part_sums[k],
            global_sums[k],
            bounded,
            scale,
            bounds,
            bounded_sums[k],
            best[k],
            intervals[k],
            nothing if hmeans is None else hmeans[k],
        )
        for array in (sums, part_sums, global_sums, bounded_sums, best, intervals, hmeans):
            if array is not None and n < axes[2] and array.shape[1]:  # higher limits cut nothing off here
                array[k, :, n:] = array[k, :, n - 1 : n]

    with ThreadPoolExecutor(max(1, workers)) as pool:
        list(pool.map(level, range(axes[0])))
    means = sums[..., :DETECTIONS] / (FIXED_POINT * len(images))
    return Landscape(
        lattice=lattice,
        metric=metric,
        names=tuple(image.name for image in images),
        precision=means[..., PRECISION],
        recall=means[..., RECALL],
        hmean=means[..., HMEAN],
        n_detections=sums[..., DETECTIONS],
        global_counts=global_sums,
        part_hmeans=part_sums / FIXED_POINT,
        part_sizes=np.bincount(parts, minlength=N_PARTS),
        best=_best(lattice, joined, best, intervals) if (best >= 0).any() else None,
        constraint=constraint,
        part_bounded=bounded_sums / (1.0 if bounded == DETECTIONS else FIXED_POINT),
        candidates=tuple(joined.candidates),
        image_hmeans=hmeans,
    )


def _level_candidates(
    joined: JoinedRelations, k: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], FloatArray]:
    """Image, shape, contour index and score of the candidates of all images at threshold k, by falling
    score."""
    own = [c.shapes[c.starts[k] : c.starts[k + 1]] for c in joined.candidates]
    sizes = [len(shapes) for shapes in own]
    positions = np.concatenate([np.arange(size) for size in sizes])
    images = np.repeat(np.arange(len(own)), sizes)
    local = np.concatenate(own)
    scores = np.concatenate(
        [
            c.scores[shapes] if len(c.scores) else np.zeros(len(shapes))
            for c, shapes in zip(joined.candidates, own, strict=True)
        ]
    )
    kept = np.flatnonzero(local >= 0)
    order = kept[np.lexsort((positions[kept], -scores[kept]))]
    shapes = local[order] + joined.shape_starts[images[order]]
    return images[order], shapes, positions[order], scores[order]


def _effective(max_candidates: tuple[int, ...], candidates: Sequence[CandidateLattice]) -> tuple[int, ...]:
    """The values up to the first one that cuts nothing off anywhere: the others are the same as it."""
    n_contours = max(int(np.diff(c.starts).max(initial=0)) for c in candidates)
    return max_candidates[: 1 + sum(limit < n_contours for limit in max_candidates[:-1])]


def _limits(max_candidates: Sequence[int], positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """The limits up to the first one that cuts nothing off."""
    n_contours = int(positions.max(initial=-1)) + 1
    n = 1 + sum(limit < n_contours for limit in max_candidates[:-1])
    return np.array(max_candidates[:n], dtype=np.int64)


def _best(
    lattice: SweepLattice, joined: JoinedRelations, best: NDArray[np.int64], intervals: FloatArray
) -> SweepBest:
    k, u, m = (int(index) for index in np.unravel_index(int(np.argmax(best)), best.shape))
    low, high = (float(value) for value in intervals[k, u, m])
    box_thresh = shortest_between(max(low, lattice.box_thresh[0]), min(high, lattice.box_thresh[-1]))
    thresholds = replace(lattice.at(k, u, m, 0), box_thresh=box_thresh)
    hmeans = []
    for candidates, count in zip(joined.candidates, joined.counts, strict=True):
        shapes = chosen_shapes(candidates, k, u, thresholds)
        hmeans.append(count(candidates.polygon_of[u, shapes]).hmean)
    return SweepBest(thresholds, math.fsum(hmeans) / len(hmeans), (low, high))


def shortest_between(low: float, high: float) -> float:
    """A number in (low, high] with as few decimals as possible, next to the middle; ``high`` if they are
    equal."""
    middle = (low + high) / 2
    for decimals in range(1, 17):
        value = round(middle, decimals)
        if low < value <= high:
            return value
    return high if math.isfinite(high) else low
