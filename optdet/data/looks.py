"""What an image looks like: its pixels as a digest, and small enough to compare it with all others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optdet.data.alignment import Grey
from optdet.data.images import read_image
from optdet.data.near_copies import thumbnail
from optdet.errors import OptdetError


@dataclass(frozen=True, slots=True)
class Look:
    """What is kept of an image's pixels: a digest of them upright, and a small grey picture."""

    pixels: str
    thumbnail: Grey

    @classmethod
    def of(cls, image: NDArray[np.uint8]) -> Look:
        digest = hashlib.sha256(repr(image.shape).encode())
        digest.update(np.ascontiguousarray(image).data)
        return cls(digest.hexdigest(), thumbnail(image))


def read_looks(paths: Sequence[Path]) -> Iterator[Look | OptdetError]:
    """Of each image file in turn, or why it cannot be read; every pixel is decoded."""
    # Decoding and hashing release the interpreter's lock.
    with ThreadPoolExecutor() as pool:
        yield from pool.map(_look, paths)


def _look(path: Path) -> Look | OptdetError:
    try:
        return Look.of(read_image(path))
    except OptdetError as error:
        return error
