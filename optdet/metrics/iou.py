"""IoU matching at 0.5 of one image: whole words found, instead of characters.

After the ICDAR 2015 protocol (Karatzas et al., 2015, "ICDAR 2015 competition on robust reading", task 1),
which is PASCAL VOC's for quads: detections and words match one to one where intersection over union is
strictly above 0.5, words in their order, each with the first detection that is still free. A detection of
which more than half lies on an ignored word counts neither way. Coordinates are used as they are.

The three steps are those of ``cleval``: ``prepare_truth`` once per image, ``IoUTruth.relate`` once per
distinct detection, ``count`` once per configuration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from optdet.metrics import scores
from optdet.metrics.clipping import all_convex_turns
from optdet.metrics.iou_matching import match_all
from optdet.metrics.iou_pairs import find_overlaps
from optdet.metrics.matching import FALSE_POSITIVES, FOUND, HELD, Tables
from optdet.metrics.rings import (
    Bools,
    Index,
    Regions,
    Rings,
    boxes_touch,
    read_polygons,
    regions,
    ring_starts,
    shared_areas,
    stack_rings,
)
from optdet.structures import FloatArray

MIN_IOU: Final = 0.5
"""A pair matches strictly above it."""

IGNORED_SHARE: Final = 0.5
"""A detection with more than this share of its area on one ignored word is left out."""


_SLACK: Final = 1e-7
"""Compiled areas are good to 1e-10; a share that lies this close to a limit is worked out by shapely."""


@dataclass(frozen=True, slots=True, eq=False)
class IoURelations:
    """D detections against the words, each whatever else is detected.

    Detection d has IoU above 0.5 with the valid words ``words[pair_starts[d] : pair_starts[d + 1]]``,
    ascending; ``ignored`` (D,) says whether it is left out.
    """

    pair_starts: Index
    words: NDArray[np.int32]
    ignored: Bools

    def __len__(self) -> int:
        return len(self.ignored)

    def tables(self) -> Tables:
        """The same as ``iou_matching`` reads it."""
        detections = np.zeros((len(self) + 1, 5), dtype=np.int32)
        detections[:, 0] = self.pair_starts
        detections[:-1, 1] = self.ignored
        detections[:-1, 3] = 1
        detections[:-1, 4] = np.diff(self.pair_starts)
        pairs = np.zeros((len(self.words) + 1, 4), dtype=np.int32)
        pairs[:-1, 0] = self.words
        return detections, pairs, np.zeros(0, dtype=np.int32)


@dataclass(frozen=True, slots=True)
class IoUCounts:
    """Matched pairs, valid words and valid detections of one image, or summed over several."""

    n_matched: int
    n_words: int
    n_detections: int

    @property
    def precision(self) -> float:
        return self.n_matched / self.n_detections if self.n_detections else 0.0

    @property
    def recall(self) -> float:
        return self.n_matched / self.n_words if self.n_words else 0.0

    @property
    def hmean(self) -> float:
        return scores.hmean(self.precision, self.recall)

    def __add__(self, other: IoUCounts) -> IoUCounts:
        return IoUCounts(
            n_matched=self.n_matched + other.n_matched,
            n_words=self.n_words + other.n_words,
            n_detections=self.n_detections + other.n_detections,
        )


@dataclass(frozen=True, slots=True, eq=False)
class IoUTruth:
    """One image's words, prepared; made by ``prepare_truth``. G words.

    ``regions`` (G,) and ``areas`` (G,) are shapely's. ``turns`` (G,) is not 0 where a word's region is its
    ring and convex. ``boxes`` (G, 4) lie around the rings.
    """

    ignored: Bools
    rings: Rings
    turns: Index
    boxes: FloatArray
    regions: Regions
    areas: FloatArray

    @property
    def n_words(self) -> int:
        """The valid ones."""
        return int(np.count_nonzero(~self.ignored))

    def relate(self, polygons: Sequence[ArrayLike]) -> IoURelations:
        """Relations of detections, flat or (N, 2); ValueError for NaN and fewer than 3 points."""
        return self._relate(stack_rings(read_polygons(polygons, "detection"), "detection"))

    def relate_rings(self, points: NDArray[np.number], starts: Index) -> IoURelations:
        """The same of D polygons of at least 3 points that lie behind one another, ``starts`` (D + 1,)."""
        return self._relate(Rings(points.astype(np.float64), np.diff(starts)))

    def _relate(self, rings: Rings) -> IoURelations:
        areas, shared, pairs = find_overlaps(
            rings.points,
            ring_starts(rings.sizes),
            self.rings.points,
            ring_starts(self.rings.sizes),
            self.turns,
            self.boxes,
            self.areas,
            self.ignored,
            # Intersection over union is above m where the shared area is above m / (1 + m) of the sum.
            MIN_IOU / (1 + MIN_IOU) - _SLACK,
            IGNORED_SHARE - _SLACK,
        )
        detections, words = pairs.T
        on_ignored = self.ignored[words]
        above = self._settled(rings, detections, words, areas, shared)
        ignored = np.bincount(detections[above & on_ignored], minlength=len(rings)) > 0
        matching = above & ~on_ignored
        return IoURelations(
            pair_starts=ring_starts(np.bincount(detections[matching], minlength=len(rings))),
            words=words[matching].astype(np.int32),
            ignored=ignored,
        )

    def _settled(
        self, rings: Rings, detections: Index, words: Index, areas: FloatArray, shared: FloatArray
    ) -> Bools:
        """Whether each pair's share is above its limit; shapely is asked wherever last digits may matter."""
        on_ignored = self.ignored[words]
        limits = np.where(on_ignored, IGNORED_SHARE, MIN_IOU)
        shares = _shares(shared, self.areas[words], areas, on_ignored)
        # One whose outline crosses itself shares NaN, also where its two halves leave it no area.
        asked = np.flatnonzero(np.isnan(shared) | ~(np.abs(shares - limits) >= _SLACK))
        if len(asked):
            met, which = np.unique(detections[asked], return_inverse=True)
            shapes = regions(rings.subset(met))[which]
            exact = shared_areas(self.regions[words[asked]], shapes)
            own = np.asarray(shapely.area(shapes))
            shares[asked] = _shares(exact, self.areas[words[asked]], own, on_ignored[asked])
        return np.asarray(shares > limits)


def prepare_truth(gt: Sequence[ArrayLike], ignored: Sequence[bool] | None = None) -> IoUTruth:
    """The words of one image; ValueError for NaN, fewer than 3 points and lists of different lengths."""
    rings = stack_rings(read_polygons(gt, "word"), "word")
    if ignored is not None and len(ignored) != len(rings):
        raise ValueError(
            f"ignored must have one entry for each of the {len(rings)} words, got {len(ignored)}"
        )
    shapes = regions(rings)
    return IoUTruth(
        ignored=np.array([False] * len(rings) if ignored is None else ignored, dtype=np.bool_),
        rings=rings,
        turns=all_convex_turns(rings.points, ring_starts(rings.sizes)),
        boxes=rings.boxes(),
        regions=shapes,
        areas=np.asarray(shapely.area(shapes)),
    )


def count(truth: IoUTruth, relations: IoURelations, chosen: NDArray[np.integer] | None = None) -> IoUCounts:
    """Match one to one: all detections, or those of the indices ``chosen``.

    Only where a detection overlaps two words by more than half may their order matter.
    """
    detections = np.arange(len(relations)) if chosen is None else np.asarray(chosen, dtype=np.intp)
    totals = match_all(detections, len(truth.ignored), relations.tables())
    return IoUCounts(
        n_matched=int(totals[FOUND]),
        n_words=truth.n_words,
        n_detections=int(totals[HELD] + totals[FALSE_POSITIVES]),
    )


def match_iou(
    gt: Sequence[ArrayLike], det: Sequence[ArrayLike], *, ignored: Sequence[bool] | None = None
) -> IoUCounts:
    """Score the detections of one image; polygons are flat ``x y x y ...`` or (N, 2), in pixels."""
    truth = prepare_truth(gt, ignored)
    return count(truth, truth.relate(det))


def iou_matrix(first: Sequence[ArrayLike], second: Sequence[ArrayLike]) -> FloatArray:
    """Intersection over union of every polygon of ``first`` with every one of ``second``, (n, m), 0..1.

    Two polygons without area have 0, not NaN.
    """
    one = stack_rings(read_polygons(first, "polygon"), "polygon")
    two = stack_rings(read_polygons(second, "polygon"), "polygon")
    shapes_one, shapes_two = regions(one), regions(two)
    shared = _shared(shapes_one, one.boxes(), shapes_two, two.boxes())
    areas_one, areas_two = np.asarray(shapely.area(shapes_one)), np.asarray(shapely.area(shapes_two))
    return _ratio(shared, areas_one[:, None] + areas_two - shared)


def _shared(first: Regions, first_boxes: FloatArray, second: Regions, second_boxes: FloatArray) -> FloatArray:
    shared = np.zeros((len(first), len(second)))
    i, j = np.nonzero(boxes_touch(first_boxes, second_boxes))
    shared[i, j] = shared_areas(first[i], second[j])
    return shared


def _shares(shared: FloatArray, words: FloatArray, detections: FloatArray, on_ignored: Bools) -> FloatArray:
    """Intersection over union, or of an ignored word the part of the detection's area, of pairs (n,)."""
    return _ratio(shared, np.where(on_ignored, detections, words + detections - shared))


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    """``part`` by ``whole``, 0 where there is nothing; rounding in the geometry must not exceed 1.

    NaN stays.
    """
    return np.minimum(np.divide(part, whole, out=np.zeros_like(part), where=~(whole <= 0)), 1.0)
