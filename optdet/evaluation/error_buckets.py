"""Where errors are: words and detections in buckets of size, proportions, density, place and direction.

A bucket holds the values from its lower edge on, below its upper one. Edges are fixed, so that two detectors
can be compared, but for the height in image pixels and the words an image, whose scale is that of the images:
there they are rounded quantiles of the labels. The recall of a bucket is the share of its words' characters
that lie in a matched detection, over all images; splitting costs nothing there and is counted by itself. A
detection is in the bucket of its own shape, whatever it lies on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from optdet.evaluation.error_kinds import DetectionOutcome, WordOutcome
from optdet.evaluation.polygon_measures import Measures
from optdet.evaluation.tiers import MIN_IMAGES
from optdet.metrics.bootstrap import share_intervals
from optdet.metrics.rings import Index
from optdet.structures import FloatArray

CANVAS_HEIGHTS: Final = (8.0, 12.0, 16.0, 24.0, 32.0)
ASPECTS: Final = (1.5, 3.0, 5.0, 8.0, 12.0)
GAPS: Final = (0.1, 0.25, 0.5, 1.0, 2.0)
BORDERS: Final = (0.25, 1.0, 2.0, 5.0)
ANGLES: Final = (5.0, 30.0, 60.0, 85.0)
MIN_ASPECT_WITH_DIRECTION: Final = 1.5
"""The long side of a shape that is nearly square says nothing of its direction."""
PLACES: Final = tuple(
    f"{row} {column}" for row in ("top", "middle", "bottom") for column in ("left", "centre", "right")
)
DIRECTIONS: Final = ("horizontal", "slanted", "diagonal", "steep", "vertical", "nearly square")


@dataclass(frozen=True, slots=True)
class Share:
    """``part`` of ``whole``, both over all images, with the 95 % bootstrap interval over images; None where
    there is nothing. ``n_images`` have any of the whole."""

    part: int
    whole: int
    n_images: int
    interval: tuple[float, float] | None

    @property
    def value(self) -> float | None:
        return self.part / self.whole if self.whole else None

    def as_json(self) -> dict[str, Any]:
        interval = None if self.interval is None else list(self.interval)
        return {
            "part": self.part,
            "whole": self.whole,
            "images": self.n_images,
            "value": self.value,
            "interval": interval,
        }


@dataclass(frozen=True, slots=True)
class Bucket:
    """The words and detections whose property is ``low`` or more and below ``high``; None where that side is
    open, and both where the bucket has but a name.

    Of its ``n_words``: missed, found in part, split, merged; a word may be several of these. ``recall`` is of
    characters; ``false`` is the share of detections, None for a property that is one of words alone.
    """

    label: str
    low: float | None
    high: float | None
    n_words: int
    n_missed: int
    n_partial: int
    n_split: int
    n_merged: int
    recall: Share
    false: Share | None

    @property
    def n_lost(self) -> int:
        """Characters of its words that lie in no matched detection."""
        return self.recall.whole - self.recall.part

    def is_worse_than(self, recall: float) -> bool:
        """Whether the recall's interval lies below another, on enough images for an interval to say so."""
        interval = self.recall.interval
        return interval is not None and self.recall.n_images >= MIN_IMAGES and interval[1] < recall

    @property
    def is_empty(self) -> bool:
        return not self.n_words and not (self.false and self.false.whole)

    def as_json(self) -> dict[str, Any]:
        shares = {
            "recall": self.recall.as_json(),
            "false": None if self.false is None else self.false.as_json(),
        }
        return {**asdict(self), **shares, "n_lost": self.n_lost}


@dataclass(frozen=True, slots=True)
class Property:
    """What the buckets are of; every word that counts is in one of them."""

    name: str
    title: str
    buckets: tuple[Bucket, ...]

    def as_json(self) -> dict[str, Any]:
        buckets = [bucket.as_json() for bucket in self.buckets]
        return {"property": self.name, "title": self.title, "buckets": buckets}


@dataclass(frozen=True, slots=True)
class _Plan:
    """A property, its buckets' labels and bounds, and which of them each polygon belongs to."""

    name: str
    title: str
    labels: tuple[str, ...]
    bounds: tuple[tuple[float | None, float | None], ...]
    bucket_of: Callable[[Measures], Index]
    of_detections: bool = True


def properties(
    words: Measures,
    word_outcomes: Sequence[WordOutcome],
    detections: Measures,
    detection_outcomes: Sequence[DetectionOutcome],
    n_images: int,
) -> tuple[Property, ...]:
    """Outcomes that count, image after image, each with the measures of its polygon.

    Left out is what cannot be known: places without the images' sizes, heights on a canvas of unknown size.
    """
    plans = _plans(words, detections)
    found = np.array([each.n_found for each in word_outcomes], dtype=np.float64)
    characters = np.array([each.n_characters for each in word_outcomes], dtype=np.float64)
    is_false = np.array([each.kind == "false_positive" for each in detection_outcomes], dtype=np.float64)
    flags = _flags(word_outcomes)
    result = []
    for plan in plans:
        n = len(plan.labels)
        of_word = plan.bucket_of(words)
        recall = _shares(words.image, of_word, found, characters, n_images, n)
        false: Sequence[Share | None] = [None] * n
        if plan.of_detections:
            of_detection = plan.bucket_of(detections)
            every = np.ones(len(detections))
            false = _shares(detections.image, of_detection, is_false, every, n_images, n)
        counts = np.stack([np.bincount(of_word, weights=flag, minlength=n) for flag in flags], axis=1)
        rows = zip(plan.labels, plan.bounds, counts.astype(int).tolist(), recall, false, strict=True)
        buckets = [_bucket(*row) for row in rows]
        result.append(Property(plan.name, plan.title, tuple(buckets)))
    return tuple(result)


def _bucket(
    label: str,
    bounds: tuple[float | None, float | None],
    counts: Sequence[int],
    recall: Share,
    false: Share | None,
) -> Bucket:
    """``counts`` as ``_flags`` has them."""
    n_words, n_missed, n_partial, n_split, n_merged = counts
    low, high = bounds
    return Bucket(
        label=label,
        low=low,
        high=high,
        n_words=n_words,
        n_missed=n_missed,
        n_partial=n_partial,
        n_split=n_split,
        n_merged=n_merged,
        recall=recall,
        false=false,
    )


def _flags(words: Sequence[WordOutcome]) -> FloatArray:
    """Word by word (5, words): 1 for itself, missed, found in part, split, merged."""
    rows = [
        (
            True,
            word.kind == "miss",
            word.kind != "miss" and word.n_lost > 0,
            word.n_splits > 0,
            word.merged,
        )
        for word in words
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, 5).T


def _shares(
    image: Index, bucket: Index, part: FloatArray, whole: FloatArray, n_images: int, n: int
) -> list[Share]:
    """Of each of ``n`` buckets."""

    def by_image(values: FloatArray) -> FloatArray:
        cells = np.bincount(image * n + bucket, weights=values, minlength=n_images * n)
        return np.asarray(cells.reshape(n_images, n))

    parts, wholes = by_image(part), by_image(whole)
    return [
        Share(int(in_part.sum()), int(in_whole.sum()), int((in_whole > 0).sum()), interval)
        for in_part, in_whole, interval in zip(parts.T, wholes.T, share_intervals(parts, wholes), strict=True)
    ]


def _plans(words: Measures, detections: Measures) -> list[_Plan]:
    """Those that can be known; edges that depend on the data are quantiles of the words."""

    def is_known(name: str) -> bool:
        return not any(np.isnan(getattr(shapes, name)).any() for shapes in (words, detections))

    heights = _quantiles(words.height, 5)
    densities = _quantiles(words.n_words, 4)
    plans = [_numeric("height", "height in the image, pixels", heights, lambda shapes: shapes.height)]
    if is_known("canvas_height"):
        title = "height on the network's canvas, pixels"
        plans.append(_numeric("canvas_height", title, CANVAS_HEIGHTS, lambda shapes: shapes.canvas_height))
    plans += [
        _numeric("aspect", "aspect: long side by short side", ASPECTS, lambda shapes: shapes.aspect),
        _numeric("density", "words in the image", densities, lambda shapes: shapes.n_words),
        _numeric(
            "gap", "gap to the nearest word, in heights", GAPS, lambda shapes: shapes.gap, of_detections=False
        ),
    ]
    if is_known("across"):
        title = "distance to the image's edge, in heights"
        nothing = ((None, None),) * len(PLACES)
        plans += [
            _numeric("border", title, BORDERS, lambda shapes: shapes.border),
            _Plan("position", "position in the image", PLACES, nothing, _place),
        ]
    return [*plans, _rotation()]


def _rotation() -> _Plan:
    edges = (0.0, *ANGLES, 90.0)
    bounds = tuple(pairwise(edges))
    named = zip(DIRECTIONS, bounds, strict=False)
    labels = (*(f"{name} {low:g}-{high:g}°" for name, (low, high) in named), DIRECTIONS[-1])
    title = "rotation of the long side against the horizontal"
    return _Plan("rotation", title, labels, (*bounds, (None, None)), _direction)


def _numeric(
    name: str,
    title: str,
    edges: Sequence[float],
    value: Callable[[Measures], FloatArray],
    *,
    of_detections: bool = True,
) -> _Plan:
    def bucket_of(shapes: Measures) -> Index:
        return np.asarray(np.searchsorted(edges, value(shapes), side="right"))

    bounds = _bounds(edges)
    labels = tuple(_range(*each) for each in bounds)
    return _Plan(name, title, labels, bounds, bucket_of, of_detections)


def _bounds(edges: Sequence[float]) -> tuple[tuple[float | None, float | None], ...]:
    return tuple(zip((None, *edges), (*edges, None), strict=True))


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return "all" if high is None else f"below {high:g}"
    return f"from {low:g}" if high is None else f"{low:g} to {high:g}"


def _quantiles(values: FloatArray, n: int) -> tuple[float, ...]:
    """At most n - 1 edges, whole numbers: fewer where values are alike."""
    if not len(values):
        return ()
    edges = np.unique(np.round(np.quantile(values, np.arange(1, n) / n)))
    return tuple(float(edge) for edge in edges if edge > values.min())


def _place(shapes: Measures) -> Index:
    across, down = (np.clip(values * 3, 0, 2).astype(np.intp) for values in (shapes.across, shapes.down))
    return np.asarray(down * 3 + across)


def _direction(shapes: Measures) -> Index:
    direction = np.searchsorted(ANGLES, shapes.angle, side="right")
    return np.where(shapes.aspect < MIN_ASPECT_WITH_DIRECTION, len(DIRECTIONS) - 1, direction)
