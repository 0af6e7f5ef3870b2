"""Whether a detector was trained on images that it is scored on: its scores there are not out of sample."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from optdet.digest import file_sha256
from optdet.structures import Sample


def n_trained_on(training: Iterable[Path], samples: Sequence[Sample]) -> int:
    """How many of the samples' images are among the training images: by the content of the files, whatever
    their names. Files that cannot be read are no image of either.

    Only files of a size that both sides have are read.
    """
    by_size: dict[int, list[Path]] = {}
    for path in dict.fromkeys(training):
        if (size := _size(path)) is not None:
            by_size.setdefault(size, []).append(path)
    digests: dict[int, set[str]] = {}
    count = 0
    for sample in samples:
        size = _size(sample.image_path)
        if size is None or size not in by_size:
            continue
        if size not in digests:
            digests[size] = {file_sha256(path) for path in by_size[size]}
        count += file_sha256(sample.image_path) in digests[size]
    return count


def _size(path: Path) -> int | None:
    try:
        return os.stat(path).st_size
    except OSError:
        return None
