"""Every threshold of a frozen detector, exactly: scores over a whole lattice of post-processing parameters.

thresh and unclip_ratio lie on a lattice, max_candidates on a list; box_thresh is continuous, every value at
which anything changes, and is recorded on a lattice as well. What is found at a point is what the plain
pipeline (``MapDetector.detect``, clipping and the cap included, then ``cleval`` or ``match_iou``) gives
there, count for count.

Contours, shapes, polygons and their relations to the words are computed once, by image
(``detection.lattice``, ``sweep_relations``); after that a configuration costs the detections by which
it differs from its neighbour. Threads share the work over images, then over thresholds, for compiled code
holds no lock; polygons, which are simplified and grown in Python's own calls, are made by processes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from operator import length_hint

import numpy as np
from numpy.typing import NDArray

from optdet.detection.lattice import CandidateLattice, find_candidates
from optdet.detection.postprocess import MAX_DETECTIONS
from optdet.evaluation.constraint import Constraint
from optdet.evaluation.landscape import Landscape, SweepBest, SweepImage, SweepLattice, chosen_shapes
from optdet.evaluation.parallel import mapped, mapped_in_processes
from optdet.evaluation.scorer import N_PARTS, part_of
from optdet.evaluation.sweep_counting import (
    DETECTIONS,
    FIXED_POINT,
    HMEAN,
    N_SUMS,
    PRECISION,
    RECALL,
    Bound,
    CountedAxes,
    CountedImages,
    LevelCandidates,
    LevelSums,
    count_level,
)
from optdet.evaluation.sweep_relations import ImageRelations, JoinedRelations, join, relate_candidates
from optdet.metrics.matching import N_TOTALS
from optdet.structures import Metric, OnImage

_WORTH_PROCESSES = 32
"""Images from which on processes repay the seconds that they take to start."""


def sweep(
    images: Iterable[SweepImage],
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

    ``images`` that are made one by one, as a network makes maps, are prepared by the ``workers`` while others
    are made.

    Values of max_candidates above the largest number of contours are left out: they are the same as the
    first such.

    ``on_image(done, total)`` is called as images are prepared, ``total`` 0 where it is not known. Raises
    ValueError for no images, and for a map that is not float16.
    """
    names, joined = _prepare(images, lattice, metric, workers, on_image)
    lattice = replace(lattice, max_candidates=_effective(lattice.max_candidates, joined.candidates))
    return _count(names, lattice, metric, joined, workers, by_image, constraint)


@dataclass(frozen=True, slots=True)
class _Prepared:
    name: str
    candidates: CandidateLattice
    relations: ImageRelations


def _prepare(
    images: Iterable[SweepImage],
    lattice: SweepLattice,
    metric: Metric,
    workers: int,
    on_image: OnImage | None,
) -> tuple[tuple[str, ...], JoinedRelations]:
    """The images' names, and how their candidates lie to their words."""
    find = partial(_candidates, lattice=lattice)
    n_images = length_hint(images)

    def related(image: SweepImage, candidates: CandidateLattice) -> _Prepared:
        return _Prepared(image.name, candidates, relate_candidates(image.words, candidates, metric))

    results: Iterator[_Prepared]
    if not lattice.use_polygon:
        results = mapped(lambda image: related(image, find(image)), images, workers=workers)
    elif workers > 1 and n_images >= _WORTH_PROCESSES:
        images = list(images)
        results = map(related, images, mapped_in_processes(find, images, workers=workers))
    else:
        results = (related(image, find(image)) for image in images)
    prepared = []
    for done, result in enumerate(results, start=1):
        prepared.append(result)
        if on_image is not None:
            on_image(done, n_images)
    if not prepared:
        raise ValueError("no images to score")
    joined = join([each.candidates for each in prepared], [each.relations for each in prepared])
    return tuple(each.name for each in prepared), joined


def _candidates(image: SweepImage, *, lattice: SweepLattice) -> CandidateLattice:
    return find_candidates(
        image.prob_map,
        image.letterbox,
        lattice.thresh,
        lattice.unclip_ratio,
        use_polygon=lattice.use_polygon,
        min_side=lattice.min_side,
    )


def _count(
    names: tuple[str, ...],
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
    n_images = len(names)
    parts = np.array([part_of(name) for name in names], dtype=np.int64)
    counted = CountedImages(
        joined.polygon_of,
        joined.tables,
        joined.word_starts,
        joined.centre_starts,
        joined.n_expected,
        parts,
        joined.one_to_one,
    )
    bound = _bound(constraint, n_images)
    whole = _no_sums(axes, n_images if by_image else None, bounded=constraint is not None)
    box_thresh = np.array(lattice.box_thresh, dtype=np.float64)

    def level(k: int) -> None:
        candidates = _level_candidates(joined, k)
        limits = _limits(lattice.max_candidates, candidates.positions)
        n = len(limits)
        swept = CountedAxes(limits, box_thresh, MAX_DETECTIONS)
        count_level(candidates, counted, swept, bound, LevelSums(*(array[k] for array in whole)))
        for array in whole:
            if n < axes[2] and array.shape[1]:  # higher limits cut nothing off here
                array[k, :, n:] = array[k, :, n - 1 : n]

    with ThreadPoolExecutor(max(1, workers)) as pool:
        list(pool.map(level, range(axes[0])))
    means = whole.sums[..., :DETECTIONS] / (FIXED_POINT * n_images)
    return Landscape(
        lattice=lattice,
        metric=metric,
        names=names,
        precision=means[..., PRECISION],
        recall=means[..., RECALL],
        hmean=means[..., HMEAN],
        n_detections=whole.sums[..., DETECTIONS],
        global_counts=whole.totals,
        n_expected=int(joined.n_expected.sum()),
        part_hmeans=whole.parts / FIXED_POINT,
        part_sizes=np.bincount(parts, minlength=N_PARTS),
        best=_best(lattice, joined, whole) if (whole.best >= 0).any() else None,
        constraint=constraint,
        part_bounded=whole.bounded / (1.0 if bound.column == DETECTIONS else FIXED_POINT),
        candidates=tuple(joined.candidates),
        image_hmeans=whole.image_hmeans if by_image else None,
    )


def _no_sums(axes: tuple[int, int, int, int], n_images: int | None, *, bounded: bool) -> LevelSums:
    """Room for the sums of all levels, which are the first axis; H-means of images where they are counted."""
    nothing = (axes[0], 0, 0, 0, 0)
    return LevelSums(
        sums=np.zeros((*axes, N_SUMS), dtype=np.int64),
        parts=np.zeros((*axes, N_PARTS), dtype=np.int64),
        totals=np.zeros((*axes, N_TOTALS), dtype=np.int64),
        bounded=np.zeros((*axes, N_PARTS) if bounded else nothing, dtype=np.int64),
        best=np.zeros(axes[:3], dtype=np.int64),
        intervals=np.zeros((*axes[:3], 2), dtype=np.float64),
        image_hmeans=np.zeros(nothing if n_images is None else (*axes, n_images), dtype=np.float32),
    )


def _bound(constraint: Constraint | None, n_images: int) -> Bound:
    """On the sums that are kept: those of scores are fixed-point."""
    if constraint is None:
        return Bound(DETECTIONS, 1.0, -math.inf, math.inf)
    if constraint.metric == "boxes":
        return Bound(DETECTIONS, 1.0, *constraint.bounds)
    column = {"precision": PRECISION, "recall": RECALL}[constraint.metric]
    return Bound(column, FIXED_POINT * n_images, *constraint.bounds)


def _level_candidates(joined: JoinedRelations, k: int) -> LevelCandidates:
    """The candidates of all images at threshold k."""
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
    return LevelCandidates(images[order], shapes, positions[order], scores[order])


def _effective(max_candidates: tuple[int, ...], candidates: Sequence[CandidateLattice]) -> tuple[int, ...]:
    """The values up to the first one that cuts nothing off anywhere: the others are the same as it."""
    n_contours = max(int(np.diff(c.starts).max(initial=0)) for c in candidates)
    return max_candidates[: 1 + sum(limit < n_contours for limit in max_candidates[:-1])]


def _limits(max_candidates: Sequence[int], positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """The limits up to the first one that cuts nothing off."""
    n_contours = int(positions.max(initial=-1)) + 1
    n = 1 + sum(limit < n_contours for limit in max_candidates[:-1])
    return np.array(max_candidates[:n], dtype=np.int64)


def _best(lattice: SweepLattice, joined: JoinedRelations, whole: LevelSums) -> SweepBest:
    k, u, m = (int(index) for index in np.unravel_index(int(np.argmax(whole.best)), whole.best.shape))
    low, high = (float(value) for value in whole.intervals[k, u, m])
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
