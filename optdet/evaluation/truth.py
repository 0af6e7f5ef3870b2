"""An image's words, prepared for each metric once.

Who uses what: the ``competition`` profile knows neither texts nor ignored words; ``official`` knows both, a
word without a text having a pseudo length; IoU@0.5 knows ignored words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdet.metrics import cleval, iou
from optdet.metrics.cleval import CLEvalCounts
from optdet.metrics.cleval_relations import CLEvalRelations
from optdet.metrics.cleval_truth import CLEvalTruth, prepare_truth
from optdet.metrics.iou import IoUCounts, IoUTruth
from optdet.metrics.rings import Index, read_polygons, ring_starts, stack_rings
from optdet.structures import PROFILES, FloatArray, Metric, Profile, Word

Polygon = NDArray[Any]


@dataclass(frozen=True, slots=True)
class ImageCounts:
    """What one image adds to each score."""

    competition: CLEvalCounts
    official: CLEvalCounts
    iou: IoUCounts

    def of(self, metric: Metric) -> CLEvalCounts | IoUCounts:
        found: CLEvalCounts | IoUCounts = getattr(self, metric)
        return found


@dataclass(frozen=True, slots=True)
class WordCharacters:
    """The competition's pseudo characters of each word (G,): how many it has, and how many were found."""

    n_characters: Index
    n_found: Index


def cleval_truth(words: Sequence[Word], profile: Profile) -> CLEvalTruth:
    """An image's words as a profile reads them."""
    polygons = [word.polygon for word in words]
    if profile == "competition":
        return prepare_truth(polygons, profile=profile)
    texts, ignored = [word.text or None for word in words], [word.ignored for word in words]
    return prepare_truth(polygons, texts=texts, ignored=ignored, profile=profile)


def iou_truth(words: Sequence[Word]) -> IoUTruth:
    """An image's words as IoU matching reads them."""
    return iou.prepare_truth([word.polygon for word in words], [word.ignored for word in words])


Count = Callable[[Index], CLEvalCounts | IoUCounts]
"""Counts the detections of some indices, in their order."""


class ImageTruth:
    """The words of one image; answers for any set of detections (polygons in image pixels)."""

    def __init__(self, words: Sequence[Word]) -> None:
        self._truths = {profile: cleval_truth(words, profile) for profile in PROFILES}
        self._iou_truth = iou_truth(words)

    def cleval(self, polygons: Sequence[Polygon], profile: Profile) -> CLEvalCounts:
        """As ``cleval.cleval``: the competition profile reads the first 500 detections."""
        read = polygons[: cleval.MAX_DETECTIONS] if profile == "competition" else polygons
        truth = self._truths[profile]
        return cleval.count(truth, truth.relate(read))

    def iou(self, polygons: Sequence[Polygon]) -> IoUCounts:
        return iou.count(self._iou_truth, self._iou_truth.relate(polygons))

    def counts_of(self, metric: Metric, polygons: Sequence[Polygon]) -> CLEvalCounts | IoUCounts:
        """One metric alone."""
        return self.iou(polygons) if metric == "iou" else self.cleval(polygons, metric)

    def relate(self, metric: Metric, polygons: Sequence[Polygon]) -> Count:
        """Relates polygons to the words once; what is returned counts any of them, by their indices.

        The competition profile reads the first 500 of a choice.
        """
        if metric == "iou":
            overlaps = self._iou_truth.relate(polygons)
            return lambda chosen: iou.count(self._iou_truth, overlaps, chosen)
        truth = self._truths[metric]
        related = truth.relate(polygons)
        most = cleval.MAX_DETECTIONS if metric == "competition" else None
        return lambda chosen: cleval.count(truth, related, chosen[:most])

    def counts(self, polygons: Sequence[Polygon]) -> ImageCounts:
        """All metrics of one set of detections."""
        return ImageCounts(
            competition=self.cleval(polygons, "competition"),
            official=self.cleval(polygons, "official"),
            iou=self.iou(polygons),
        )

    def counts_and_characters(
        self, sets: Sequence[Sequence[Polygon]]
    ) -> list[tuple[ImageCounts, WordCharacters]]:
        """All metrics of each of several sets of detections, and which part of each word it found, in the
        order of the words; the parts add up to the competition's ``num_char_gt`` and ``num_char_tp``. A word
        that the profile drops has no characters.

        A polygon is related to the words once, however many sets have it.
        """
        distinct: dict[bytes, FloatArray] = {}
        keys_of_sets = []
        for polygons in sets:
            by_key = [(polygon.tobytes(), polygon) for polygon in read_polygons(polygons, "detection")]
            distinct.update(by_key)
            keys_of_sets.append([key for key, _ in by_key])
        places = {key: place for place, key in enumerate(distinct)}
        rings = stack_rings(list(distinct.values()), "detection")
        starts = ring_starts(rings.sizes)
        related = {
            profile: truth.relate_rings(rings.points, starts) for profile, truth in self._truths.items()
        }
        overlaps = self._iou_truth.relate_rings(rings.points, starts)
        found = []
        for keys in keys_of_sets:
            chosen = np.array([places[key] for key in keys], dtype=np.intp)
            competition, characters = self._characters(
                related["competition"], chosen[: cleval.MAX_DETECTIONS]
            )
            official = cleval.count(self._truths["official"], related["official"], chosen)
            matched = iou.count(self._iou_truth, overlaps, chosen)
            found.append((ImageCounts(competition, official, matched), characters))
        return found

    def _characters(self, related: CLEvalRelations, chosen: Index) -> tuple[CLEvalCounts, WordCharacters]:
        truth = self._truths["competition"]
        matching = cleval.match(truth, related, chosen)
        n_before = np.concatenate([[0], np.cumsum(matching.covered > 0)])[truth.centre_starts]
        return matching.counts, WordCharacters(
            n_characters=np.diff(truth.centre_starts), n_found=np.diff(n_before)
        )
