"""A prediction file as a leaderboard will meet it: everything that is wrong with it, and what it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optdet.data.images import image_size
from optdet.data.labels import read_labels
from optdet.data.named_images import named_images
from optdet.data.names import stem
from optdet.data.prediction_check import PredictionSummary, check_predictions, summarize_predictions
from optdet.data.predictions import ScannedPredictions, scan_predictions
from optdet.errors import OptdetError
from optdet.phrases import counted
from optdet.structures import Problem


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """``knows_images``: it was told which images the file has to hold."""

    path: Path
    sha256: str
    found: ScannedPredictions
    problems: tuple[Problem, ...]
    summary: PredictionSummary
    knows_images: bool

    def require_sound(self) -> None:
        """OptdetError where a leaderboard could refuse the file, or read it otherwise than it is meant."""
        if self.problems:
            faults = counted(len(self.problems), "fault")
            first = self.problems[0]
            raise OptdetError(
                f"{faults}, the first: {first.reason}",
                where=f"{first.file}:{first.where}",
                fix="write it again",
            )

    def as_json(self) -> dict[str, Any]:
        return {
            "file": str(self.path),
            "sha256": self.sha256,
            **self.summary.as_json(),
            "problems": [{"where": problem.where, "reason": problem.reason} for problem in self.problems],
        }


def check_file(path: Path, *, images: Path | None = None, labels: Path | None = None) -> CheckedFile:
    """Check a file against a folder of ``images``, the images that a label file names, or both.

    Without either, whether an image is missing cannot be told, nor whether a polygon leaves its image. With
    both, an image that is labelled has to be in the folder too. OptdetError for what is no prediction file.
    """
    found = scan_predictions(path)
    content = path.read_bytes()
    expected = _expected(found, images, labels)
    absent = [
        Problem(str(path), found.places.get(name, name), f"the image is labelled, and not in {images}")
        for name in expected.absent
    ]
    # A row that cannot be read is a problem of its own: its image is not missing.
    unreadable = found.places.keys() - found.polygons.keys()
    sizes = {name: size for name, size in expected.sizes.items() if name not in unreadable}
    problems = check_predictions(found.polygons, sizes, file=str(path), places=found.places)
    return CheckedFile(
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        found=found,
        problems=(*found.problems, *absent, *problems),
        summary=summarize_predictions(found.polygons, n_bytes=len(content)),
        knows_images=images is not None or labels is not None,
    )


@dataclass(frozen=True, slots=True)
class _Expected:
    """The images that a file has to hold, by name; ``absent`` are those that the folder of images lacks."""

    sizes: Mapping[str, tuple[int, int] | None]
    absent: tuple[str, ...] = ()


def _expected(found: ScannedPredictions, images: Path | None, labels: Path | None) -> _Expected:
    # A leaderboard knows names letter by letter; but a label file named after its image has no extension.
    by_stem = {stem(name): name for name in found.places}
    if images is not None:
        named = named_images(images, labels)
        absent = tuple(name if name in found.places else by_stem.get(name, name) for name in named.missing)
        sizes = {name: image_size(path) for name, path in named.paths.items()}
        return _Expected({**sizes, **dict.fromkeys(absent)}, absent)
    if labels is None:
        return _Expected(dict.fromkeys(found.polygons))
    label_file = read_labels(labels)
    spelled = by_stem if label_file.names_are_stems else {}
    return _Expected({spelled.get(name, name): label_file.sizes.get(name) for name in label_file.words})
