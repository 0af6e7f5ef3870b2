"""Many configurations on the same maps: the macro H-mean of each, its best, and a cross-fitted score.

An :class:`ImageScorer` is one image; a configuration's H-means over all images are a row of numbers that
everything else here is computed from.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optdet.detection.postprocess import MapDetector
from optdet.evaluation.evaluate import Evaluation, summarize
from optdet.evaluation.truth import ImageTruth
from optdet.metrics.cleval import CLEvalCounts
from optdet.metrics.scores import PRH, aggregate
from optdet.structures import FloatArray, Thresholds, Word

N_PARTS = 5
"""Parts of a cross-fit."""


class ImageScorer:
    """One image's map and words: its competition counts at any thresholds, remembered."""

    def __init__(self, name: str, detector: MapDetector, words: Sequence[Word]) -> None:
        self.name = name
        self.detector = detector
        self.truth = ImageTruth(words)
        self._counts: dict[Thresholds, CLEvalCounts] = {}

    def counts(self, thresholds: Thresholds) -> CLEvalCounts:
        if thresholds not in self._counts:
            polygons = self.detector.detect(thresholds).polygons
            self._counts[thresholds] = self.truth.cleval(polygons, "competition")
        return self._counts[thresholds]

    def hmean(self, thresholds: Thresholds) -> float:
        return self.counts(thresholds).hmean


@dataclass(frozen=True, slots=True)
class Best:
    """The best configuration of several, and its macro H-mean; the first of equals."""

    thresholds: Thresholds
    hmean: float


def hmeans(scorers: Sequence[ImageScorer], thresholds: Thresholds) -> FloatArray:
    """Competition H-mean of each image at one configuration."""
    return np.array([scorer.hmean(thresholds) for scorer in scorers], dtype=np.float64)


def macro_hmean(scorers: Sequence[ImageScorer], thresholds: Thresholds) -> float:
    """Their mean, to the last digit what :func:`evaluate_at` calls the competition's macro H-mean."""
    return _mean(hmeans(scorers, thresholds).tolist())


def _mean(values: Sequence[float]) -> float:
    # fsum is exact: neither the order of the images nor numpy's way of adding moves the last digit.
    if not values:
        raise ValueError("no images to score")
    return math.fsum(values) / len(values)


def macro_scores(scorers: Sequence[ImageScorer], thresholds: Thresholds) -> PRH:
    """Competition macro scores at one configuration."""
    return aggregate([scorer.counts(thresholds) for scorer in scorers]).macro


def best_of(scorers: Sequence[ImageScorer], configurations: Iterable[Thresholds]) -> Best:
    best: Best | None = None
    for thresholds in configurations:
        score = macro_hmean(scorers, thresholds)
        if best is None or score > best.hmean:
            best = Best(thresholds, score)
    if best is None:
        raise ValueError("no configurations to compare")
    return best


def coarse_lattice(current: Thresholds) -> list[Thresholds]:
    """What an epoch is judged by: ``current``, and a few dozen points of its kind around the usual ones.

    At fixed thresholds a young detector scores near zero whatever it has learnt; its best point does not.
    """
    points = [
        replace(current, thresh=thresh / 100, box_thresh=box_thresh / 100, unclip_ratio=unclip_ratio)
        for thresh in (20, 30, 40, 50)
        for box_thresh in (30, 40, 50, 60)
        for unclip_ratio in (1.5, 2.0)
    ]
    return [current, *(point for point in points if point != current)]


def evaluate_at(scorers: Sequence[ImageScorer], thresholds: Thresholds) -> Evaluation:
    """Every score of every image at one configuration."""
    return summarize(
        {scorer.name: scorer.truth.counts(scorer.detector.detect(thresholds).polygons) for scorer in scorers}
    )


def part_of(name: str) -> int:
    """The cross-fit part of an image, 0..4, by SHA-256 of its name: the same in every study."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % N_PARTS


def crossfit(
    scorers: Sequence[ImageScorer], tune: Callable[[Sequence[ImageScorer]], Thresholds]
) -> float | None:
    """Macro H-mean when the images of each part are scored at thresholds that ``tune`` found on the others.

    None where there are too few images to have both.
    """
    parts = [part_of(scorer.name) for scorer in scorers]
    if len(set(parts)) < 2:
        return None
    scores: list[float] = []
    for part in sorted(set(parts)):
        thresholds = tune([scorer for scorer, own in zip(scorers, parts, strict=True) if own != part])
        scores += [
            scorer.hmean(thresholds) for scorer, own in zip(scorers, parts, strict=True) if own == part
        ]
    return _mean(scores)
