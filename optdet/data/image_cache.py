"""Letterboxed images, read once and shared by every trial and worker through one memory-mapped file.

The file is ``images-<key>.npy``, (n, S, S, 3) uint8, its key made of the images' contents and the letterbox.
It is written under a lock to a temporary name and renamed, and never changed after. A reader holds it, so
that it is not evicted while it is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

import filelock
import numpy as np
from numpy.typing import NDArray

from optdet.atomic import atomic_file
from optdet.data.images import read_image
from optdet.digest import file_sha256
from optdet.errors import OptdetError
from optdet.geometry.letterbox import Letterbox
from optdet.in_use import Hold, hold, last_written
from optdet.structures import OnImage, Sample

_VERSION = 1
Pad = Literal["center", "topleft"]


class CanvasReader(Protocol):
    """Anything that gives the canvas of sample ``index``, (S, S, 3) uint8 RGB."""

    def __getitem__(self, index: int) -> NDArray[np.uint8]: ...


@dataclass(frozen=True, slots=True)
class FileReader:
    """Canvases drawn from the image files each time: for sets that are too large to cache."""

    paths: tuple[Path, ...]
    letterboxes: tuple[Letterbox, ...]

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return self.letterboxes[index].draw(read_image(self.paths[index]))


class CachedReader:
    """Canvases from a cache file; opened where it is used, so that it travels to worker processes.

    ``held`` keeps the file from being evicted: that of the process that started the workers.
    """

    def __init__(self, path: Path, held: Hold | None = None) -> None:
        self.path = path
        self._held = held
        self._canvases: NDArray[np.uint8] | None = None

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        if self._canvases is None:
            self._canvases = np.load(self.path, mmap_mode="r")
        return np.array(self._canvases[index])

    def __getstate__(self) -> dict[str, Path]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class PartReader:
    """Some canvases of another reader, numbered from 0."""

    canvases: CanvasReader
    indices: tuple[int, ...]

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return self.canvases[self.indices[index]]


def open_canvases(
    samples: Sequence[Sample],
    letterboxes: Sequence[Letterbox],
    cache_dir: Path,
    *,
    max_gb: float,
    on_image: OnImage | None = None,
) -> CanvasReader:
    """The canvases of ``samples``: cached where they fit into ``max_gb``, else read from their files.

    ``on_image(done, total)`` is called while a new cache is written. Raises OptdetError for an image that
    cannot be read and a cache that cannot be written.
    """
    size = letterboxes[0].size
    paths = tuple(sample.image_path for sample in samples)
    if len(samples) * size * size * 3 > max_gb * 1e9:
        return FileReader(paths, tuple(letterboxes))
    path = cache_dir / f"images-{_key(paths, letterboxes)}.npy"
    while (held := hold(path)) is None:  # evicted between its making and its use: again
        try:
            _write_once(path, paths, letterboxes, on_image)
        except OSError as error:
            raise OptdetError(
                f"the image cache cannot be written ({error.strerror})",
                where=str(path),
                fix="check its folder and the free space, or read the files each time: cache.max_gb=0",
            ) from error
    with contextlib.suppress(OSError):  # somebody else's file: when it was used last stays unknown
        os.utime(path)
    return CachedReader(path, held)


@dataclass(frozen=True, slots=True)
class KeptImages:
    """A cache file: so many canvases of ``size`` x ``size``; times are seconds since the epoch."""

    path: Path
    key: str
    n_images: int
    size: int
    n_bytes: int
    last_used: float


def kept_images(cache_dir: Path) -> list[KeptImages]:
    """The cache files of a folder, whichever images they are of."""
    kept = []
    for path in sorted(cache_dir.glob("images-*.npy")):
        with contextlib.suppress(FileNotFoundError):  # another process may remove it meanwhile
            kept.append(_kept(path))
    return kept


def remove_images(path: Path) -> None:
    """Remove a cache file; OptdetError while it is being written."""
    try:
        with filelock.FileLock(f"{path}.lock", timeout=0):
            path.unlink(missing_ok=True)
            Path(f"{path}.lock").unlink(missing_ok=True)
    except filelock.Timeout:
        raise OptdetError(
            "the image cache is being written", where=str(path), fix="try again later"
        ) from None


def _kept(path: Path) -> KeptImages:
    status = path.stat()
    try:
        shape = np.load(path, mmap_mode="r").shape
    except (OSError, ValueError, EOFError):  # damaged: listed all the same, so that it can be removed
        shape = (0, 0)
    key = path.stem.removeprefix("images-")
    return KeptImages(path, key, shape[0], shape[1], status.st_size, last_written(path))


def _key(paths: Sequence[Path], letterboxes: Sequence[Letterbox]) -> str:
    box = letterboxes[0]
    # Of the filter that once was the only one nothing is said, so that its caches stay valid.
    other = "" if box.interpolation == "area" else f" {box.interpolation}"
    digest = hashlib.sha256(f"{_VERSION} {box.size} {box.pad}{other}".encode())
    for path in paths:
        digest.update(file_sha256(path).encode())
    return digest.hexdigest()[:20]


def _write_once(
    path: Path,
    paths: Sequence[Path],
    letterboxes: Sequence[Letterbox],
    on_image: OnImage | None,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{path}.lock"):
        if path.exists():
            return
        # Whoever holds the lock is the only writer: other temporary files are those of killed processes.
        for leftover in path.parent.glob(f".{path.name}.*.tmp"):
            leftover.unlink()
        with atomic_file(path) as file:
            _write(file, paths, letterboxes, on_image)


def _write(
    file: BinaryIO,
    paths: Sequence[Path],
    letterboxes: Sequence[Letterbox],
    on_image: OnImage | None,
) -> None:
    """Written, not mapped: a full disk is then an error, where a mapped page ends the process (SIGBUS)."""
    size = letterboxes[0].size
    shape = (len(paths), size, size, 3)
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    for index, (image_path, letterbox) in enumerate(zip(paths, letterboxes, strict=True)):
        file.write(letterbox.draw(read_image(image_path)).data)
        if on_image is not None:
            on_image(index + 1, len(paths))
