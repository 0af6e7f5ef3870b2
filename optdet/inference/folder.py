"""A folder of images to a checked prediction file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from optdet.data.files import require_folder
from optdet.data.images import image_size, list_images, relative_name
from optdet.data.labels import read_labels
from optdet.data.names import NameIndex
from optdet.data.prediction_check import check_predictions, summarize_predictions
from optdet.data.predictions import write_predictions
from optdet.errors import OptdetError
from optdet.structures import Detections

Detect = Callable[[Sequence[Path]], Iterable[Detections]]
"""Gives the detections of image files, in their order."""


def predict_folder(detect: Detect, images: Path, out: Path, *, labels: Path | None = None) -> list[str]:
    """Detect, check, write ``out`` (.csv or .json); what was written, in lines for a person.

    Nothing is written where the check finds a fault.
    """
    require_format(out)
    paths = chosen_images(images, labels)
    named = {relative_name(path, images): path for path in paths}
    found = {name: each.polygons for name, each in zip(named, detect(paths), strict=True)}
    return write_checked(found, named, out)


def require_format(out: Path) -> None:
    """OptdetError for a file that is neither CSV nor JSON by its name."""
    if out.suffix.lower() not in {".csv", ".json"}:
        raise OptdetError(
            f"{out.suffix or 'no suffix'} is not a prediction format", where=str(out), fix="use .csv or .json"
        )


def write_checked(
    found: Mapping[str, Sequence[NDArray[Any]]], paths: Mapping[str, Path], out: Path
) -> list[str]:
    """Check and write the polygons of images by name; OptdetError, and nothing written, where there is a
    fault."""
    problems = check_predictions(
        found, {name: image_size(path) for name, path in paths.items()}, file=str(out)
    )
    if problems:
        raise OptdetError(
            f"{len(problems)} faults in the predictions, the first: {problems[0]}", where=str(out)
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    write_predictions(out, found)
    summary = summarize_predictions(found, n_bytes=out.stat().st_size)
    return [f"wrote {out}: {len(paths)} images, checked", *summary.lines()]


def chosen_images(images: Path, labels: Path | None) -> list[Path]:
    """The images of a folder, or those of them that a label file names."""
    require_folder(images, what="images folder")
    paths = list_images(images)
    if labels is not None:
        label_file = read_labels(labels)
        index = NameIndex(label_file.words, by_stem=label_file.names_are_stems)
        paths = [path for path in paths if index.find(relative_name(path, images)) is not None]
    if not paths:
        raise OptdetError("no images there", where=str(images), fix="name a folder of jpg, png, ... files")
    return paths
