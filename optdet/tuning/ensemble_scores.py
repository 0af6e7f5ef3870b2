"""How a member of an ensemble scores, and the ensemble itself: at what was chosen on all images, and image by
image at what was chosen on the images of the other cross-fit parts.

Everything is the competition profile's H-mean; parts are those of every cross-fit, by SHA-256 of the name.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from optdet.config import TuneConfig
from optdet.detection.postprocess import MapDetector
from optdet.evaluation.evaluate import Evaluation, summarize
from optdet.evaluation.landscape import detections_by_image
from optdet.evaluation.scorer import ImageScorer, part_of
from optdet.evaluation.selection import crossfit_thresholds
from optdet.evaluation.truth import ImageTruth
from optdet.structures import Detections, FloatArray, OnImage, Sample, Thresholds
from optdet.tuning.task import TuningTask
from optdet.tuning.thresholds import tune_thresholds

How = Literal["given", "usual", "tuned"]
"""Why settings are what they are: asked for, or not better when tuned, or tuned."""


@contextmanager
def no_bar(_description: str) -> Iterator[OnImage]:
    yield lambda done, total: None


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Scores over all images, by name, and what cross-fitting leaves of the H-means (images,); None where the
    images are too few to choose on some and score others."""

    evaluation: Evaluation
    crossfit: FloatArray | None
    n_boxes: int

    @property
    def hmean(self) -> float:
        return self.evaluation.scores.competition.macro.hmean

    @property
    def hmean_crossfit(self) -> float | None:
        return None if self.crossfit is None else mean(self.crossfit)

    @property
    def fair_hmeans(self) -> FloatArray:
        """The cross-fitted H-mean of each image where there is one."""
        return self.evaluation.hmeans if self.crossfit is None else self.crossfit


def mean(values: FloatArray) -> float:
    """Exact, as macro scores are, whatever the order."""
    return math.fsum(values.tolist()) / len(values)


class Judge:
    """The labelled images, by name, prepared once for all members."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples = tuple(sorted(samples, key=lambda sample: sample.name))
        self.truths = tuple(ImageTruth(sample.words) for sample in self.samples)
        self.part_of = np.array([part_of(sample.name) for sample in self.samples])

    @property
    def parts(self) -> list[int]:
        """Those that images are in; fewer than two cannot be cross-fitted."""
        return sorted(set(self.part_of.tolist()))

    @property
    def can_crossfit(self) -> bool:
        return len(self.parts) > 1

    def score(self, found: Sequence[Detections], crossfit: FloatArray | None) -> Scored:
        """Detections of each image."""
        counts = {
            sample.name: truth.counts(each.polygons)
            for sample, truth, each in zip(self.samples, self.truths, found, strict=True)
        }
        return Scored(summarize(counts), crossfit, sum(map(len, found)))

    def hmean(self, image: int, found: Detections) -> float:
        return self.truths[image].cleval(found.polygons, "competition").hmean


@dataclass(frozen=True, slots=True, eq=False)
class TunedDetections:
    """What one member detects in every image: at the thresholds chosen on all images, and at those chosen
    without each part; a file, or a vote, has none, and detects the same."""

    thresholds: Thresholds | None
    found: Mapping[Thresholds | None, Sequence[Detections]]
    by_part: Mapping[int, Thresholds] = field(default_factory=dict)

    def thresholds_without(self, part: int | None) -> Thresholds | None:
        return self.thresholds if part is None else self.by_part.get(part, self.thresholds)

    def without(self, part: int | None) -> Sequence[Detections]:
        """Of all images, nothing having been chosen on those of ``part``."""
        return self.found[self.thresholds_without(part)]

    def scored(self, judge: Judge) -> Scored:
        scored = judge.score(self.without(None), None)
        if not judge.can_crossfit:
            return scored
        crossfit = scored.evaluation.hmeans
        for image, part in enumerate(judge.part_of.tolist()):
            if self.thresholds_without(part) != self.thresholds:
                crossfit[image] = judge.hmean(image, self.without(part)[image])
        return replace(scored, crossfit=crossfit)


def tuned_maps(
    detectors: Sequence[MapDetector],
    judge: Judge,
    search: TuneConfig,
    current: Thresholds,
    *,
    workers: int = 1,
    on_image: OnImage | None = None,
) -> TunedDetections:
    """Tune the maps of all images and detect at what was chosen; with method none at ``current``."""
    scorers = [
        ImageScorer(sample.name, detector, sample.words)
        for sample, detector in zip(judge.samples, detectors, strict=True)
    ]
    if search.method == "none":
        found = [of_image for (of_image,) in detections_by_image(scorers, (), [current])]
        return TunedDetections(current, {current: found})
    tuned = tune_thresholds(TuningTask(scorers, search, current), workers=workers, on_trial=on_image)
    chosen = tuned.choices[search.select].thresholds
    by_part = crossfit_thresholds(tuned.landscapes, search.select) or {}
    points = tuple(dict.fromkeys((chosen, *by_part.values())))
    of_images = list(detections_by_image(scorers, tuned.landscapes, points))
    found_at: dict[Thresholds | None, list[Detections]] = {
        point: [of_image[place] for of_image in of_images] for place, point in enumerate(points)
    }
    return TunedDetections(chosen, found_at, by_part)
