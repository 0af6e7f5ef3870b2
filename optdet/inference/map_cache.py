"""Probability maps kept on disk: ``<cache>/maps/<source key>/<image key>.npy``, float16, (S, S).

A file is written to a temporary name and renamed, and never changed after; it is read through a memory map.
Behind the array stands the CRC-32 of the bytes before it: a file that is cut off, damaged or of another shape
counts as missing, and is made again. (A checksum finds accidents; 60 maps of 1024 x 1024 are checked in a
tenth of a second, where SHA-256 takes three times that.)

A folder is held while its maps are read or made, so that it is not evicted meanwhile. Maps that were read
stay readable after: they are mapped.

``note.json`` beside the maps says whose they are. Its modification time is when they were last used.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import resource
import shutil
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdet.atomic import atomic_file
from optdet.errors import OptdetError
from optdet.in_use import Hold, hold, remove_unused

NOTE_NAME = "note.json"
_CHECKSUM_BYTES = 4


@dataclass(frozen=True, slots=True)
class CacheNote:
    """Whose maps a folder holds: the source's title and preprocessing, and when the first was made (UTC)."""

    key: str
    title: str
    preprocessing: dict[str, Any]
    made: str


@dataclass(frozen=True, slots=True)
class MapCache:
    """The maps of one source; ``title`` and ``preprocessing`` are written into its note."""

    folder: Path
    title: str = ""
    preprocessing: dict[str, Any] | None = None

    @classmethod
    def of(
        cls, cache_dir: Path, key: str, *, title: str = "", preprocessing: dict[str, Any] | None = None
    ) -> MapCache:
        return cls(maps_dir(cache_dir) / key, title, preprocessing)

    @property
    def key(self) -> str:
        return self.folder.name

    def has(self, image_key: str) -> bool:
        """Whether there is a file; whether it is whole, loading it tells."""
        return self._path(image_key).is_file()

    def load(self, image_key: str, size: int) -> NDArray[np.float16] | None:
        """The map, read-only and mapped; None where it is missing, not whole, or of another shape or type.

        Each that is held keeps a file open. OptdetError where the process may open no more.
        """
        path = self._path(image_key)
        _allow_many_files()
        try:
            stored = np.memmap(path, dtype=np.uint8, mode="r")
            if _checksum(stored[:-_CHECKSUM_BYTES].data) != stored[-_CHECKSUM_BYTES:].tobytes():
                return None
            prob_map = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:  # missing or empty; too short to be an array
            if getattr(error, "errno", None) == errno.EMFILE:
                raise OptdetError(
                    "more maps than this process may have open files",
                    where=str(self.folder),
                    fix="raise the limit: ulimit -Hn 65536",
                ) from error
            return None
        whole = prob_map.shape == (size, size) and prob_map.dtype == np.float16
        return prob_map if whole else None

    def save(self, image_key: str, prob_map: NDArray[np.float16]) -> None:
        array = io.BytesIO()
        np.save(array, prob_map)
        content = array.getvalue()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write_note()
            with atomic_file(self._path(image_key)) as file:
                file.write(content + _checksum(content))
        except OSError as error:
            raise OptdetError(
                f"the probability map cannot be kept ({error.strerror})",
                where=str(self._path(image_key)),
                fix="check the folder's rights and the free space",
            ) from error

    def begin_use(self) -> None:
        """Refuse a folder whose note names another source; else mark it as used now."""
        note = read_note(self.folder)
        if note is not None and note.key != self.key:
            raise OptdetError(
                f"the maps there are those of {note.title or 'another checkpoint'} ({note.key})",
                where=str(self.folder),
                fix="delete the folder: its maps are made again",
            )
        with contextlib.suppress(OSError):  # never used yet, or somebody else's: neither is in the way
            os.utime(self.folder / NOTE_NAME)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """While the block runs, the folder is there and nobody evicts it. Refuses as ``begin_use`` does."""
        self.begin_use()
        try:
            while (held := _made_and_held(self.folder)) is None:
                pass  # evicted between the two
        except OSError:  # a full or read-only disk: reading is not in its way, and saving says so
            held = None
        try:
            yield
        finally:
            if held is not None:
                held.release()
            with contextlib.suppress(OSError):  # not empty, as a rule
                self.folder.rmdir()

    def remove(self) -> bool:
        """Whether the maps are gone: those in use stay."""
        return remove_unused(self.folder, shutil.rmtree)

    def _write_note(self) -> None:
        path = self.folder / NOTE_NAME
        if not self.title or path.exists():
            return
        made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        note = {"key": self.key, "title": self.title, "preprocessing": self.preprocessing or {}, "made": made}
        with atomic_file(path) as file:
            file.write(json.dumps(note, indent=2, ensure_ascii=False).encode() + b"\n")

    def _path(self, image_key: str) -> Path:
        return self.folder / f"{image_key}.npy"


@cache
def _allow_many_files() -> None:
    """Raise the process's own limit as far as it may: 1024, which is usual, are the maps of one detector."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _made_and_held(folder: Path) -> Hold | None:
    folder.mkdir(parents=True, exist_ok=True)
    return hold(folder)


def _checksum(content: bytes | memoryview) -> bytes:
    return zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, "little")


def maps_dir(cache_dir: Path) -> Path:
    """The folder of all sources' maps."""
    return cache_dir / "maps"


def read_note(folder: Path) -> CacheNote | None:
    """Whose maps a folder holds; None where it does not say."""
    try:
        stored = json.loads((folder / NOTE_NAME).read_bytes())
        return CacheNote(
            str(stored["key"]), str(stored["title"]), dict(stored["preprocessing"]), str(stored["made"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
