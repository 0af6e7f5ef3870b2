"""What a submission may not hold, and what a prediction file does hold.

The competition's rules: every image once, 4 or more points a polygon, at most 500 polygons an image, all
inside the image (its edges included), no NaN.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from optdet.data.names import leaves_folder, nfc
from optdet.geometry.simplify import MIN_POINTS
from optdet.structures import FloatArray, Problem

MAX_POLYGONS = 500


def check_predictions(
    predictions: Mapping[str, Sequence[ArrayLike]],
    expected_sizes: Mapping[str, tuple[int, int] | None],
    *,
    file: str = "predictions",
    places: Mapping[str, str] | None = None,
    max_polygons: int = MAX_POLYGONS,
    min_points: int = MIN_POINTS,
) -> list[Problem]:
    """Everything that breaks the rules, in the order of the expected images; ``expected_sizes`` are (width,
    height), None where they are not known. ``places`` say where in the file an image stands.
    """
    at = places or {}
    given: dict[str, Sequence[ArrayLike]] = {}
    problems = []
    expected = {nfc(name): size for name, size in expected_sizes.items()}
    for name, polygons in predictions.items():
        if leaves_folder(name):
            problems.append(Problem(file, at.get(name, name), "the file name leaves its folder"))
        elif nfc(name) in given:
            problems.append(Problem(file, at.get(name, name), "the image is there twice"))
        elif nfc(name) not in expected:
            problems.append(Problem(file, at.get(name, name), "no such image is expected"))
        given.setdefault(nfc(name), polygons)
    for name, size in expected.items():
        if name not in given:
            problems.append(Problem(file, name, "the image is missing"))
            continue
        place = at.get(name, name)
        if len(given[name]) > max_polygons:
            reason = f"{len(given[name])} polygons, at most {max_polygons} are allowed"
            problems.append(Problem(file, place, reason))
        for index, polygon in enumerate(given[name], start=1):
            reasons = _faults(np.asarray(polygon, dtype=np.float64), size, min_points)
            problems += [Problem(file, f"{place}, polygon {index}", reason) for reason in reasons]
    return problems


def _faults(polygon: FloatArray, size: tuple[int, int] | None, min_points: int) -> Iterator[str]:
    if polygon.ndim != 2 or polygon.shape[1] != 2:
        yield f"an array of shape {polygon.shape}, expected (N, 2)"
        return
    if len(polygon) < min_points:
        yield f"{len(polygon)} points, at least {min_points} are needed"
    if not np.isfinite(polygon).all():
        yield "a coordinate is not a finite number"
        return
    low, high = -polygon, polygon - np.asarray(size or np.inf)
    outside = np.maximum(low, high).max(axis=1, initial=-np.inf)
    if (outside > 0).any():
        worst = polygon[np.argmax(outside)]
        where = "outside every image" if size is None else f"outside the image of {size[0]}x{size[1]}"
        yield f"({worst[0]:g}, {worst[1]:g}) lies {where}"


@dataclass(frozen=True, slots=True)
class PredictionSummary:
    """Counts over a prediction file; of nothing, medians and bounds are 0."""

    n_images: int
    n_empty: int
    n_polygons: int
    min_polygons: int
    median_polygons: float
    max_polygons: int
    min_points: int
    median_points: float
    max_points: int
    n_bytes: int

    @property
    def megabytes(self) -> float:
        """Of 10^6 bytes, as upload limits count."""
        return self.n_bytes / 1e6

    def lines(self) -> list[str]:
        """For a terminal."""
        boxes = f"{self.min_polygons} / {self.median_polygons:g} / {self.max_polygons}"
        points = f"{self.min_points} / {self.median_points:g} / {self.max_points}"
        return [
            f"images     {self.n_images:,} ({self.n_empty:,} without polygons)",
            f"polygons   {self.n_polygons:,}; {boxes} an image (min / median / max)",
            f"points     {points} a polygon (min / median / max)",
            f"size       {self.megabytes:.2f} MB",
        ]

    def as_json(self) -> dict[str, Any]:
        return {
            "images": self.n_images,
            "empty": self.n_empty,
            "polygons": self.n_polygons,
            "an_image": {
                "min": self.min_polygons,
                "median": self.median_polygons,
                "max": self.max_polygons,
            },
            "points": {"min": self.min_points, "median": self.median_points, "max": self.max_points},
            "bytes": self.n_bytes,
        }


def summarize_predictions(
    predictions: Mapping[str, Sequence[ArrayLike]], *, n_bytes: int
) -> PredictionSummary:
    """``n_bytes`` is the size of the file."""
    counts = [len(polygons) for polygons in predictions.values()]
    points = [len(np.asarray(polygon)) for polygons in predictions.values() for polygon in polygons]
    return PredictionSummary(
        n_images=len(counts),
        n_empty=counts.count(0),
        n_polygons=sum(counts),
        min_polygons=min(counts, default=0),
        median_polygons=float(median(counts)) if counts else 0.0,
        max_polygons=max(counts, default=0),
        min_points=min(points, default=0),
        median_points=float(median(points)) if points else 0.0,
        max_points=max(points, default=0),
        n_bytes=n_bytes,
    )
