"""What is swept and what comes of it: lattices of post-processing parameters, landscapes of scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdet.detection.lattice import CandidateLattice
from optdet.detection.postprocess import MAX_DETECTIONS
from optdet.evaluation.constraint import Constraint
from optdet.evaluation.scorer import ImageScorer
from optdet.geometry.placement import Placement
from optdet.metrics.matching import FALSE_POSITIVES, FOUND, HELD, MERGES, SPLITS
from optdet.metrics.scores import PRH
from optdet.structures import Detections, FloatArray, Metric, Thresholds, Word


@dataclass(frozen=True, slots=True)
class SweepImage:
    """One image's float16 map (H, W), the place of the image on it, and its words."""

    name: str
    prob_map: NDArray[np.float16]
    letterbox: Placement
    words: tuple[Word, ...]

    @classmethod
    def of(cls, scorer: ImageScorer) -> SweepImage:
        """ValueError for a map that float16 cannot hold."""
        return cls(scorer.name, scorer.detector.half_map, scorer.detector.letterbox, scorer.words)


@dataclass(frozen=True, slots=True)
class SweepLattice:
    """What is swept; every axis ascends. ``box_thresh`` is where scores are recorded: its ends are the range
    that the continuous search covers."""

    thresh: tuple[float, ...]
    box_thresh: tuple[float, ...]
    unclip_ratio: tuple[float, ...]
    max_candidates: tuple[int, ...]
    use_polygon: bool
    min_side: float

    def __post_init__(self) -> None:
        for name in ("thresh", "box_thresh", "unclip_ratio", "max_candidates"):
            values = getattr(self, name)
            if not values or any(a >= b for a, b in pairwise(values)):
                raise ValueError(f"{name} must hold ascending values, got {values}")

    def __len__(self) -> int:
        return len(self.thresh) * len(self.box_thresh) * len(self.unclip_ratio) * len(self.max_candidates)

    def at(self, k: int, u: int, m: int, b: int) -> Thresholds:
        return Thresholds(
            thresh=self.thresh[k],
            box_thresh=self.box_thresh[b],
            unclip_ratio=self.unclip_ratio[u],
            max_candidates=self.max_candidates[m],
            use_polygon=self.use_polygon,
            min_side=self.min_side,
        )


def coarse_lattice(current: Thresholds) -> SweepLattice:
    """What an epoch is judged by: a few dozen points of the kind that is in use, and every box_thresh.

    At fixed thresholds a young detector scores near zero whatever it has learnt; its best point does not.
    """
    return SweepLattice(
        thresh=tuple(step / 10 for step in range(1, 9)),
        box_thresh=tuple(step / 20 for step in range(1, 20)),
        # Polygons cost many times what quads cost.
        unclip_ratio=(1.5, 2.0, 2.5) if current.use_polygon else (1.0, 1.5, 2.0, 2.5),
        max_candidates=(current.max_candidates,),
        use_polygon=current.use_polygon,
        min_side=current.min_side,
    )


@dataclass(frozen=True, slots=True)
class SweepBest:
    """The best of all, box_thresh continuous: its macro H-mean, and the box_thresh (low, high] that give
    it."""

    thresholds: Thresholds
    hmean: float
    box_interval: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Landscape:
    """A metric's scores at every point of a lattice: [thresh, unclip_ratio, max_candidates, box_thresh].

    ``precision``, ``recall``, ``hmean``: macro means over images. ``n_detections`` of all images together.
    ``global_counts`` (..., N_TOTALS) as in ``metrics.matching``, and ``n_expected`` characters, or words, of
    all images. ``part_hmeans`` (..., N_PARTS): sums over the images of a cross-fit part, ``part_sizes`` their
    numbers. ``image_hmeans`` (..., images), if it was asked for. Where there is a ``constraint``, ``best``
    keeps it (None where nothing does), and ``part_bounded`` (..., N_PARTS) are sums of what it bounds over
    the images of a part; else it is empty.
    """

    lattice: SweepLattice
    metric: Metric
    names: tuple[str, ...]
    precision: FloatArray
    recall: FloatArray
    hmean: FloatArray
    n_detections: NDArray[np.int64]
    global_counts: NDArray[np.int64]
    n_expected: int
    part_hmeans: FloatArray
    part_sizes: NDArray[np.int64]
    best: SweepBest | None
    constraint: Constraint | None
    part_bounded: FloatArray
    candidates: tuple[CandidateLattice, ...]
    image_hmeans: NDArray[np.float32] | None

    def scores_at(self, k: int, u: int, m: int, b: int) -> PRH:
        point = (k, u, m, b)
        return PRH(float(self.precision[point]), float(self.recall[point]), float(self.hmean[point]))

    def global_scores(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Precision, recall and H-mean of the counts of all images together, at every point."""
        totals = self.global_counts
        detected = totals[..., HELD] + totals[..., FALSE_POSITIVES]
        precision = _ratio(np.maximum(0, totals[..., FOUND] - totals[..., MERGES]), detected)
        found = np.maximum(0, totals[..., FOUND] - totals[..., SPLITS])
        recall = _ratio(found, np.full_like(found, self.n_expected))
        return precision, recall, _ratio(2 * precision * recall, precision + recall)

    def detect(self, image: int, thresholds: Thresholds) -> Detections | None:
        """What ``MapDetector.detect`` gives for an image, if thresh and unclip_ratio lie on the lattice;
        else None."""
        lattice = self.lattice
        if (thresholds.use_polygon, thresholds.min_side) != (lattice.use_polygon, lattice.min_side):
            return None
        if thresholds.thresh not in lattice.thresh or thresholds.unclip_ratio not in lattice.unclip_ratio:
            return None
        k, u = lattice.thresh.index(thresholds.thresh), lattice.unclip_ratio.index(thresholds.unclip_ratio)
        candidates = self.candidates[image]
        found = chosen_shapes(candidates, k, u, thresholds)
        polygons = tuple(candidates.polygon(index) for index in candidates.polygon_of[u, found])
        return Detections(polygons, candidates.scores[found])

    def spread(self, n_a_side: int = 8) -> Iterator[tuple[Thresholds, PRH]]:
        """Some n_a_side ** 2 points over thresh and box_thresh, each at its best unclip_ratio and
        max_candidates."""
        for k in _evenly(len(self.lattice.thresh), n_a_side):
            for b in _evenly(len(self.lattice.box_thresh), n_a_side):
                here = self.hmean[k, :, :, b]
                u, m = (int(i) for i in np.unravel_index(int(np.argmax(here)), here.shape))
                yield self.lattice.at(k, u, m, b), self.scores_at(k, u, m, b)


def chosen_shapes(candidates: CandidateLattice, k: int, u: int, thresholds: Thresholds) -> NDArray[np.int32]:
    """The shapes detected at threshold k and ratio u, in contour order: the best of them where there are
    too many."""
    shapes = candidates.shapes[candidates.starts[k] : candidates.starts[k + 1]][: thresholds.max_candidates]
    shapes = shapes[shapes >= 0]
    shapes = shapes[candidates.scores[shapes] >= thresholds.box_thresh]
    shapes = shapes[candidates.polygon_of[u, shapes] >= 0]
    if len(shapes) > MAX_DETECTIONS:
        shapes = shapes[np.sort(np.argsort(-candidates.scores[shapes], kind="stable")[:MAX_DETECTIONS])]
    return np.asarray(shapes, dtype=np.int32)


def detections_by_image(
    scorers: Sequence[ImageScorer], landscapes: Sequence[Landscape], points: Sequence[Thresholds]
) -> Iterator[list[Detections]]:
    """Of each image what is detected at each point: from a sweep where the point lies on its lattice, else
    anew.

    An image's detector forgets before the next one begins: float32 maps of hundreds of images, and what
    is remembered of them, would fill gigabytes.
    """
    for index, scorer in enumerate(scorers):
        found = []
        for thresholds in points:
            known = (landscape.detect(index, thresholds) for landscape in landscapes)
            detections = next((one for one in known if one is not None), None)
            found.append(scorer.detector.detect(thresholds) if detections is None else detections)
        scorer.detector.forget()
        yield found


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> FloatArray:
    return np.asarray(np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0))


def _evenly(n: int, n_wanted: int) -> list[int]:
    return sorted({round(i) for i in np.linspace(0, n - 1, min(n, n_wanted))})
