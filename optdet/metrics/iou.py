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
from numpy.typing import ArrayLike

from optdet.metrics import scores
from optdet.metrics.rings import (
    Bools,
    Regions,
    boxes_touch,
    read_polygons,
    regions,
    shared_areas,
    stack_rings,
)
from optdet.structures import FloatArray

MIN_IOU: Final = 0.5
"""A pair matches strictly above it."""

IGNORED_SHARE: Final = 0.5
"""A detection with more than this share of its area on one ignored word is left out."""


@dataclass(frozen=True, slots=True)
class IoURelation:
    """One detection: the valid words with IoU above 0.5, ascending, and whether it is left out."""

    words: tuple[int, ...]
    ignored: bool


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
    """One image's words, prepared; made by ``prepare_truth``. ``boxes`` are (G, 4), the rest (G,)."""

    ignored: Bools
    regions: Regions
    areas: FloatArray
    boxes: FloatArray

    def relate(self, polygons: Sequence[ArrayLike]) -> list[IoURelation]:
        """One relation per detection polygon, flat or (N, 2); ValueError for NaN and fewer than 3 points."""
        rings = stack_rings(read_polygons(polygons, "detection"), "detection")
        shapes = regions(rings)
        areas = np.asarray(shapely.area(shapes))
        shared = _shared(self.regions, self.boxes, shapes, rings.boxes())
        covered = _ratio(shared[self.ignored], areas)
        ignored = np.any(covered > IGNORED_SHARE, axis=0).tolist()
        matching = (_iou(shared, self.areas, areas) > MIN_IOU) & ~self.ignored[:, None]
        words: list[list[int]] = [[] for _ in range(len(rings))]
        for detection, word in np.argwhere(matching.T).tolist():
            words[detection].append(word)
        return [
            IoURelation(words=tuple(near), ignored=left_out)
            for near, left_out in zip(words, ignored, strict=True)
        ]


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
        regions=shapes,
        areas=np.asarray(shapely.area(shapes)),
        boxes=rings.boxes(),
    )


def count(truth: IoUTruth, relations: Sequence[IoURelation]) -> IoUCounts:
    """Match one to one.

    Only where a detection overlaps two words by more than half may the order of ``relations`` matter.
    """
    pairs = [
        (word, index)
        for index, relation in enumerate(relations)
        if not relation.ignored
        for word in relation.words
    ]
    found: set[int] = set()
    used: set[int] = set()
    for word, index in sorted(pairs):
        if word not in found and index not in used:
            found.add(word)
            used.add(index)
    return IoUCounts(
        n_matched=len(found),
        n_words=int(np.count_nonzero(~truth.ignored)),
        n_detections=sum(not relation.ignored for relation in relations),
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
    return _iou(shared, np.asarray(shapely.area(shapes_one)), np.asarray(shapely.area(shapes_two)))


def _shared(first: Regions, first_boxes: FloatArray, second: Regions, second_boxes: FloatArray) -> FloatArray:
    shared = np.zeros((len(first), len(second)))
    i, j = np.nonzero(boxes_touch(first_boxes, second_boxes))
    shared[i, j] = shared_areas(first[i], second[j])
    return shared


def _iou(shared: FloatArray, first_areas: FloatArray, second_areas: FloatArray) -> FloatArray:
    return _ratio(shared, first_areas[:, None] + second_areas - shared)


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    """``part`` by ``whole``, 0 where there is nothing; rounding in the geometry must not exceed 1."""
    return np.minimum(np.divide(part, whole, out=np.zeros_like(part), where=whole > 0), 1.0)
