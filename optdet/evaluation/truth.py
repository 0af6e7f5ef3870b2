"""An image's words, prepared for each metric once, and the relations of detections to them remembered.

Who uses what: the ``competition`` profile knows neither texts nor ignored words; ``official`` knows both, a
word without a text having a pseudo length; IoU@0.5 knows ignored words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from optdet.metrics import cleval, iou
from optdet.metrics.cleval import CLEvalCounts
from optdet.metrics.cleval_truth import prepare_truth
from optdet.metrics.iou import IoUCounts
from optdet.metrics.rings import Index
from optdet.structures import Profile, Word

Polygon = NDArray[Any]
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class ImageCounts:
    """What one image adds to each score."""

    competition: CLEvalCounts
    official: CLEvalCounts
    iou: IoUCounts


@dataclass(frozen=True, slots=True)
class WordCharacters:
    """The competition's pseudo characters of each word (G,): how many it has, and how many were found."""

    n_characters: Index
    n_found: Index


class _Relations(Generic[R]):
    """Relations of detections to an image's words, computed once for each distinct polygon."""

    def __init__(self, relate: Callable[[Sequence[Polygon]], list[R]]) -> None:
        self._relate = relate
        self._known: dict[bytes, R] = {}

    def of(self, polygons: Sequence[Polygon]) -> list[R]:
        keys = [polygon.tobytes() for polygon in polygons]
        new = {key: polygon for key, polygon in zip(keys, polygons, strict=True) if key not in self._known}
        if new:
            self._known.update(zip(new, self._relate(list(new.values())), strict=True))
        return [self._known[key] for key in keys]


class ImageTruth:
    """The words of one image; answers for any set of detections (polygons in image pixels)."""

    def __init__(self, words: Sequence[Word]) -> None:
        polygons = [word.polygon for word in words]
        texts = [word.text or None for word in words]
        ignored = [word.ignored for word in words]
        self._truths = {
            "competition": prepare_truth(polygons, profile="competition"),
            "official": prepare_truth(polygons, texts=texts, ignored=ignored, profile="official"),
        }
        self._relations = {profile: _Relations(truth.relate) for profile, truth in self._truths.items()}
        self._iou_truth = iou.prepare_truth(polygons, ignored)
        self._iou_relations = _Relations(self._iou_truth.relate)

    def cleval(self, polygons: Sequence[Polygon], profile: Profile) -> CLEvalCounts:
        """As ``cleval.cleval``: the competition profile reads the first 500 detections."""
        read = polygons[: cleval.MAX_DETECTIONS] if profile == "competition" else polygons
        return cleval.count(self._truths[profile], self._relations[profile].of(read))

    def characters(self, polygons: Sequence[Polygon]) -> WordCharacters:
        """Which part of each word was found, in the order of the words; they add up to the competition's
        ``num_char_gt`` and ``num_char_tp``. A polygon that the profile drops has no characters.
        """
        truth = self._truths["competition"]
        relations = self._relations["competition"].of(polygons[: cleval.MAX_DETECTIONS])
        found = cleval.found_centres(truth, relations)
        n_words = len(truth.ignored)
        return WordCharacters(
            n_characters=np.bincount(truth.centre_words, minlength=n_words),
            n_found=np.bincount(truth.centre_words[found], minlength=n_words),
        )

    def counts(self, polygons: Sequence[Polygon]) -> ImageCounts:
        """All metrics of one set of detections."""
        return ImageCounts(
            competition=self.cleval(polygons, "competition"),
            official=self.cleval(polygons, "official"),
            iou=iou.count(self._iou_truth, self._iou_relations.of(polygons)),
        )
