"""What a detector is worth on small, middling and large words.

An image's H-mean cannot be split by word, so this is a score of its own, over all images together: recall is
the share of the characters of words of a height that matched detections hold, precision the share of the
detections of that height that hold a word at all, and the H-mean is theirs. Heights are shorter sides of
smallest rectangles, in pixels of the image, whatever the network's canvas: canvases can be compared. Edges
are thirds of the labelled words, whole pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from optdet.evaluation.error_kinds import find_errors
from optdet.evaluation.truth import Polygon
from optdet.geometry.polygons import shorter_side
from optdet.structures import FloatArray, Word

_N_CLASSES = 3


@dataclass(frozen=True, slots=True)
class HeightScore:
    """Of words and detections from ``low`` to below ``high`` pixels, None for no bound; a score is None where
    there is nothing to score."""

    low: float | None
    high: float | None
    n_words: int
    recall: float | None
    precision: float | None

    @property
    def hmean(self) -> float | None:
        if self.recall is None or self.precision is None:
            return None
        both = self.recall + self.precision
        return 2 * self.recall * self.precision / both if both else 0.0

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "hmean": self.hmean}


def height_scores(images: Iterable[tuple[Sequence[Word], Sequence[Polygon]]]) -> tuple[HeightScore, ...]:
    """Scores by height, the smallest first, of images with their words and what was detected, at CLEval's
    competition profile; fewer than three where heights are alike, none without words."""
    words: list[tuple[float, int, int]] = []
    detections: list[tuple[float, bool]] = []
    for labelled, polygons in images:
        errors = find_errors(labelled, polygons, "competition")
        for word, outcome in zip(labelled, errors.words, strict=True):
            if outcome.counts:
                words.append((_height(word.polygon), outcome.n_found, outcome.n_characters))
        for polygon, found in zip(polygons, errors.detections, strict=True):
            if found.counts:
                detections.append((_height(polygon), found.kind != "false_positive"))
    if not words:
        return ()
    heights, n_found, n_characters = np.array(words, dtype=np.float64).T
    detected, holds = np.array(detections, dtype=np.float64).reshape(-1, 2).T
    edges = np.unique(np.round(np.quantile(heights, np.arange(1, _N_CLASSES) / _N_CLASSES)))
    bounds = [None, *(float(edge) for edge in edges if edge > heights.min()), None]
    scores = []
    for low, high in pairwise(bounds):
        of_words, of_detections = _within(heights, low, high), _within(detected, low, high)
        scores.append(
            HeightScore(
                low,
                high,
                int(of_words.sum()),
                _share(n_found[of_words].sum(), n_characters[of_words].sum()),
                _share(holds[of_detections].sum(), of_detections.sum()),
            )
        )
    return tuple(scores)


def _height(polygon: Polygon) -> float:
    return shorter_side(np.asarray(polygon, dtype=np.float32))


def _within(heights: FloatArray, low: float | None, high: float | None) -> np.ndarray[Any, Any]:
    return (heights >= (-np.inf if low is None else low)) & (heights < (np.inf if high is None else high))


def _share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None
