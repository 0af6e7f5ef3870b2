"""What a tuning is to write and to read at its end, refused before anything is worked out."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from optdet.data.named_images import require_named
from optdet.errors import OptdetError
from optdet.inference.map_folder import MapFolder
from optdet.inference.map_names import find_maps
from optdet.tuning.detection_source import OpenSource
from optdet.tuning.postprocess_output import submission_name


def check_places(
    source: OpenSource,
    *,
    out: Path | None,
    write: Path | None,
    test_images: Path | None,
    labels: Iterable[str],
    force: bool,
) -> None:
    """OptdetError where a later step would fail: a file for a folder, a config that exists, test images
    without maps, ``labels`` of candidates that would be one CSV file."""
    if out is not None:
        require_writable(out, "--out")
    if write is not None:
        if write.exists() and not (force and write.is_file()):
            raise OptdetError("the file exists", where=str(write), fix="give another name, or --force")
        require_writable(write.parent, "--write")
    if test_images is not None:
        if out is None:
            raise OptdetError("--test-images needs a folder to write to", where="--out", fix="add --out DIR")
        _check_submissions(source, test_images, labels)


def _check_submissions(source: OpenSource, test_images: Path, labels: Iterable[str]) -> None:
    paths = require_named(test_images, None)
    if isinstance(source.maps, MapFolder):
        find_maps(source.maps.folder, paths)
    owners: dict[str, str] = {}
    for label in labels:
        name = submission_name(label)
        # Some file systems tell no capitals apart.
        other = owners.setdefault(name.casefold(), label)
        if other != label:
            raise OptdetError(
                f"the candidates {other!r} and {label!r} would both be written to {name}",
                where="--candidates",
                fix="give one another label",
            )


def require_writable(folder: Path, option: str) -> None:
    """OptdetError where the folder cannot be made, or nothing can be written to it."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir():
        raise OptdetError("a file, where a folder is wanted", where=str(there), fix=f"give another {option}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise OptdetError("nothing may be written there", where=str(there), fix=f"give another {option}")
