"""Frozen records that cross layers.

Conventions, everywhere in optdet:

- a polygon is a float64 array of shape (N, 2), pixels, (x, y), clockwise from the top left as seen on
  the screen (y grows downwards); a quad has N = 4; a box is (x1, y1, x2, y2);
- "image" pixels are those of the file with its EXIF orientation applied, "canvas" pixels those of its
  probability map: of the letterboxed square that the network sees, or of the image at another resolution;
- a ``prob_map`` is a float array of shape (H, W), values 0..1, in canvas pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]
Profile = Literal["competition", "official"]
PROFILES: tuple[Profile, ...] = ("competition", "official")
Metric = Literal["competition", "official", "iou"]
"""CLEval in a profile, or IoU matching at 0.5."""
METRICS: tuple[Metric, ...] = (*PROFILES, "iou")
CheckpointRule = Literal["best", "fixed"]
"""Which epoch's weights a run keeps: that with the best validation score, or the last."""
OnImage = Callable[[int, int], None]
"""Called with (images done, images) while a loop over images runs."""
Bar = Callable[[str], AbstractContextManager[OnImage]]
"""Shows how far a stage of that name is."""


@dataclass(frozen=True, slots=True)
class Word:
    """One labelled word: polygon (N, 2) in image pixels, N >= 3."""

    polygon: FloatArray
    text: str | None = None
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """One image with its words; ``name`` is the file name as the labels spell it, in NFC."""

    name: str
    image_path: Path
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that could not be used, and why: ``where`` is a line number or a path inside the file."""

    file: str
    where: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.where}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Post-processing parameters, named as in DB, PaddleOCR and the competition."""

    thresh: float
    box_thresh: float
    unclip_ratio: float
    max_candidates: int
    use_polygon: bool
    min_side: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Thresholds:
        return cls(
            thresh=float(values["thresh"]),
            box_thresh=float(values["box_thresh"]),
            unclip_ratio=float(values["unclip_ratio"]),
            max_candidates=int(values["max_candidates"]),
            use_polygon=bool(values["use_polygon"]),
            min_side=float(values["min_side"]),
        )


@dataclass(frozen=True, slots=True)
class Detections:
    """Detected polygons of one image, each (N, 2) in image pixels, and their scores (n,), 0..1.

    Polygons are int32, and float64 where another program's prediction file has them.
    """

    polygons: tuple[NDArray[Any], ...]
    scores: FloatArray

    def __len__(self) -> int:
        return len(self.polygons)


@dataclass(frozen=True, slots=True)
class SubmissionSource:
    """What detects, as the registry of submissions names it: a SOURCE as ``predict`` takes it, a file's path
    as places are stored. ``study_uuid`` is that of a study's trial, or of ``STUDY:oof``."""

    source: str
    study_uuid: str | None = None
