"""A folder of images to a checked prediction file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from optdet.data.images import image_size, relative_name
from optdet.data.named_images import require_named
from optdet.data.prediction_check import PredictionSummary, check_predictions, summarize_predictions
from optdet.data.prediction_simplify import Simplified, require_points, simplify_predictions
from optdet.data.predictions import write_predictions
from optdet.errors import OptdetError
from optdet.structures import Detections

Detect = Callable[[Sequence[Path]], Iterable[Detections]]
"""Gives the detections of image files, in their order."""


@dataclass(frozen=True, slots=True)
class WrittenPredictions:
    """A file that was checked and written: its place, the SHA-256 of its bytes, the names of its images."""

    path: Path
    sha256: str
    names: tuple[str, ...]
    summary: PredictionSummary
    simplified: Simplified | None = None

    def lines(self) -> list[str]:
        """For a person."""
        wrote = f"wrote {self.path}: {len(self.names)} images, checked"
        simplified = [] if self.simplified is None else [self.simplified.line()]
        return [wrote, *self.summary.lines(), *simplified]


def predict_folder(
    detect: Detect,
    images: Path,
    out: Path,
    *,
    labels: Path | None = None,
    max_points: int | None = None,
) -> WrittenPredictions:
    """Detect, check, write ``out`` (.csv or .json), polygons with at most ``max_points`` points.

    ``labels`` name the images, all of them in the folder; by default it is all that are there. Nothing is
    written where the check finds a fault.
    """
    require_format(out)
    require_points(max_points)
    paths = require_named(images, labels)
    named = {relative_name(path, images): path for path in paths}
    found = {name: each.polygons for name, each in zip(named, detect(paths), strict=True)}
    return write_checked(found, named, out, max_points=max_points)


def require_format(out: Path) -> None:
    """OptdetError for a file that is neither CSV nor JSON by its name."""
    if out.suffix.lower() not in {".csv", ".json"}:
        raise OptdetError(
            f"{out.suffix or 'no suffix'} is not a prediction format", where=str(out), fix="use .csv or .json"
        )


def write_checked(
    found: Mapping[str, Sequence[NDArray[Any]]],
    paths: Mapping[str, Path],
    out: Path,
    *,
    max_points: int | None = None,
) -> WrittenPredictions:
    """Check and write the polygons of images by name; OptdetError, and nothing written, where there is a
    fault."""
    simplified = None if max_points is None else simplify_predictions(found, max_points)
    polygons = found if simplified is None else simplified.polygons
    problems = check_predictions(
        polygons, {name: image_size(path) for name, path in paths.items()}, file=str(out)
    )
    if problems:
        raise OptdetError(
            f"{len(problems)} faults in the predictions, the first: {problems[0]}", where=str(out)
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    content = write_predictions(out, polygons)
    return WrittenPredictions(
        path=out,
        sha256=hashlib.sha256(content).hexdigest(),
        names=tuple(polygons),
        summary=summarize_predictions(polygons, n_bytes=len(content)),
        simplified=simplified,
    )
