"""One configuration after the other on the same maps, by the plain pipeline.

An :class:`ImageScorer` is one image; a configuration's H-means over all images are a row of numbers that
everything else here is computed from. ``sweep`` does whole lattices.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from optdet.detection.postprocess import MapDetector
from optdet.evaluation.evaluate import Evaluation, summarize
from optdet.evaluation.truth import ImageTruth
from optdet.metrics.cleval import CLEvalCounts
from optdet.metrics.iou import IoUCounts
from optdet.metrics.scores import PRH, macro
from optdet.structures import FloatArray, Metric, Thresholds, Word

N_PARTS = 5
"""Parts of a cross-fit."""


class ImageScorer:
    """One image's map and words: its counts at any thresholds, remembered."""

    def __init__(self, name: str, detector: MapDetector, words: Sequence[Word]) -> None:
        self.name = name
        self.detector = detector
        self.words = tuple(words)
        self._counts: dict[tuple[Thresholds, Metric], CLEvalCounts | IoUCounts] = {}

    @cached_property
    def truth(self) -> ImageTruth:
        return ImageTruth(self.words)

    def counts(self, thresholds: Thresholds, metric: Metric = "competition") -> CLEvalCounts | IoUCounts:
        key = (thresholds, metric)
        if key not in self._counts:
            polygons = self.detector.detect(thresholds).polygons
            self._counts[key] = self.truth.counts_of(metric, polygons)
        return self._counts[key]

    def hmean(self, thresholds: Thresholds, metric: Metric = "competition") -> float:
        return self.counts(thresholds, metric).hmean


def hmeans(
    scorers: Sequence[ImageScorer], thresholds: Thresholds, metric: Metric = "competition"
) -> FloatArray:
    """H-mean of each image at one configuration."""
    return np.array([scorer.hmean(thresholds, metric) for scorer in scorers], dtype=np.float64)


def macro_hmean(
    scorers: Sequence[ImageScorer], thresholds: Thresholds, metric: Metric = "competition"
) -> float:
    """Their mean, to the last digit what :func:`evaluate_at` calls the metric's macro H-mean."""
    return _mean(hmeans(scorers, thresholds, metric).tolist())


def _mean(values: Sequence[float]) -> float:
    # fsum is exact: neither the order of the images nor numpy's way of adding moves the last digit.
    if not values:
        raise ValueError("no images to score")
    return math.fsum(values) / len(values)


def macro_scores(
    scorers: Sequence[ImageScorer], thresholds: Thresholds, metric: Metric = "competition"
) -> PRH:
    """Macro scores at one configuration."""
    return macro([scorer.counts(thresholds, metric) for scorer in scorers])


def evaluate_at(scorers: Sequence[ImageScorer], thresholds: Thresholds) -> Evaluation:
    """Every score of every image at one configuration."""
    return summarize(
        {scorer.name: scorer.truth.counts(scorer.detector.detect(thresholds).polygons) for scorer in scorers}
    )


def part_of(name: str) -> int:
    """The cross-fit part of an image, 0..4, by SHA-256 of its name: the same in every study."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % N_PARTS
