"""Detections of a set of images against their words: all scores, and those of each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from optdet.evaluation.truth import ImageCounts, ImageTruth, Polygon
from optdet.metrics.bootstrap import bootstrap_interval
from optdet.metrics.scores import Scores, aggregate
from optdet.structures import FloatArray, Metric, Word


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores over all images; ``names`` and ``counts`` by image, in the same order."""

    scores: Scores
    names: tuple[str, ...]
    counts: tuple[ImageCounts, ...]

    @property
    def hmeans(self) -> FloatArray:
        """Competition H-mean of each image."""
        return self.hmeans_of("competition")

    def hmeans_of(self, metric: Metric) -> FloatArray:
        return np.array([count.of(metric).hmean for count in self.counts], dtype=np.float64)

    def interval(self, metric: Metric = "competition") -> tuple[float, float]:
        """95 % bootstrap interval over images of the macro H-mean.

        The H-means are sorted, so that the order in which labels list the images does not move it.
        """
        return bootstrap_interval(np.sort(self.hmeans_of(metric)))

    def image_rows(self) -> list[dict[str, Any]]:
        """One row an image, worst first: what a table of errors shows."""
        rows = [
            {
                "image": name,
                "hmean": count.competition.hmean,
                "precision": count.competition.precision,
                "recall": count.competition.recall,
                "official_hmean": count.official.hmean,
            }
            for name, count in zip(self.names, self.counts, strict=True)
        ]
        return sorted(rows, key=lambda row: (row["hmean"], row["image"]))


def evaluate(words: Mapping[str, Sequence[Word]], polygons: Mapping[str, Sequence[Polygon]]) -> Evaluation:
    """Scores of ``polygons`` on the images of ``words``; an image without an entry has no detections."""
    return summarize({name: ImageTruth(words[name]).counts(polygons.get(name, ())) for name in words})


def summarize(counts: Mapping[str, ImageCounts]) -> Evaluation:
    if not counts:
        raise ValueError("no images to score")
    every = tuple(counts.values())
    scores = Scores(
        competition=aggregate([count.competition for count in every]),
        official=aggregate([count.official for count in every]),
        iou=aggregate([count.iou for count in every]),
    )
    return Evaluation(scores, tuple(counts), every)
