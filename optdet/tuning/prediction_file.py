"""Other people's detections as a member of a vote: a prediction file, CSV or UFO JSON.

Polygons are clipped to their image, as those of a detector are; one without an area left is dropped. A file
has no scores: every detection's is 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from optdet.config import Config
from optdet.data.images import image_size
from optdet.data.prediction_matching import Matched, match_predictions, pair_predictions
from optdet.data.predictions import read_predictions
from optdet.errors import OptdetError
from optdet.geometry.polygons import area
from optdet.phrases import counted
from optdet.structures import Detections, FloatArray, OnImage, Sample, SubmissionSource, Thresholds
from optdet.tuning.detection_source import Judged

SUFFIXES: Final = (".csv", ".json")
_MIN_POINTS = 3


def is_prediction_file(source: str) -> bool:
    return Path(source).suffix.lower() in SUFFIXES


@dataclass(frozen=True, slots=True)
class PredictionFile:
    """Polygons by the names that the file gives its images."""

    path: Path
    polygons: Mapping[str, Sequence[FloatArray]]

    @classmethod
    def read(cls, path: Path) -> PredictionFile:
        """OptdetError for what is none, and for a polygon of fewer than 3 points."""
        polygons = read_predictions(path)
        for name, found in polygons.items():
            for number, polygon in enumerate(found, start=1):
                if len(polygon) < _MIN_POINTS:
                    raise OptdetError(
                        f"polygon {number} of {name} has {counted(len(polygon), 'point')}, "
                        f"{_MIN_POINTS} are the least",
                        where=str(path),
                        fix="write the file again",
                    )
        return cls(path, polygons)

    @property
    def title(self) -> str:
        return self.path.name

    @property
    def thresholds(self) -> Thresholds | None:
        return None

    @property
    def config(self) -> Config | None:
        return None

    @property
    def labelled(self) -> Callable[[], tuple[Sample, ...]] | None:
        return None

    @property
    def origins(self) -> tuple[SubmissionSource, ...]:
        return ()

    @property
    def judged(self) -> Judged | None:
        return None

    def names_any(self, paths: Sequence[Path]) -> bool:
        """Whether the file has one of the images; OptdetError for a name that could be two images'."""
        return bool(self._paired(paths).polygons)

    def require(self, paths: Sequence[Path]) -> None:
        """OptdetError where the file lacks an image: a vote without a member would be another vote."""
        missing = [Path(name).name for name in self._paired(paths).missing]
        if missing:
            raise OptdetError(
                f"no prediction for {len(missing)} of {counted(len(paths), 'image')}, as {missing[0]}",
                where=str(self.path),
                fix="give a file that has all of them; an image without words has an empty second column",
            )

    def _paired(self, paths: Sequence[Path]) -> Matched:
        return pair_predictions([path.as_posix() for path in paths], self.polygons, file=str(self.path))

    def found(self, paths: Sequence[Path]) -> list[Detections | None]:
        """What the file has of each image, None where it does not name it; OptdetError where it names none of
        them, and for a name that could be two images'."""
        names = [path.as_posix() for path in paths]
        matched = match_predictions(names, self.polygons, file=str(self.path)).polygons
        return [
            _clipped(matched[name], image_size(path)) if name in matched else None
            for name, path in zip(names, paths, strict=True)
        ]

    def detect(
        self, paths: Sequence[Path], thresholds: Thresholds | None = None, *, on_image: OnImage | None = None
    ) -> Iterator[Detections]:
        """OptdetError as :meth:`require`."""
        self.require(paths)
        for number, found in enumerate(self.found(paths), start=1):
            if on_image is not None:
                on_image(number, len(paths))
            if found is not None:
                yield found

    def detect_each(
        self,
        paths: Sequence[Path],
        configurations: Sequence[Thresholds | None],
        *,
        workers: int = 1,
        on_image: OnImage | None = None,
    ) -> Iterator[list[Detections]]:
        for found in self.detect(paths, on_image=on_image):
            yield [found] * len(configurations)


def _clipped(polygons: Sequence[FloatArray], size: tuple[int, int]) -> Detections:
    clipped = (np.clip(polygon, 0, size) for polygon in polygons)
    kept = tuple(polygon for polygon in clipped if area(polygon) > 0)
    return Detections(kept, np.ones(len(kept)))
