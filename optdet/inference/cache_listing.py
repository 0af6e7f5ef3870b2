"""What the cache folder holds, how it is bounded and cleared: maps of each source, letterboxed image sets.

Everything in it can be made again, and other processes may make and remove it meanwhile. Sizes are bytes,
times seconds since the epoch.
"""

from __future__ import annotations

import contextlib
import difflib
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from optdet.data.image_cache import KeptImages, kept_images, remove_images
from optdet.errors import OptdetError
from optdet.in_use import last_written, remove_unused
from optdet.inference.map_cache import NOTE_NAME, maps_dir, read_note


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """The maps of a source, or one set of letterboxed images, which belongs to no source."""

    kind: Literal["maps", "images"]
    key: str
    source: str | None
    preprocessing: dict[str, Any] | None
    made: str | None
    n_images: int
    n_bytes: int
    last_used: float
    path: Path

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "path": str(self.path)}


def list_cache(cache_dir: Path) -> list[CacheEntry]:
    """Everything that is kept, the last used first."""
    folder = maps_dir(cache_dir)
    folders = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    entries = []
    for path in folders:
        with contextlib.suppress(FileNotFoundError):
            entries.append(_maps_entry(path))
    entries += [_images_entry(kept) for kept in kept_images(cache_dir)]
    return sorted(entries, key=lambda entry: (-entry.last_used, entry.key))


def clear_cache(cache_dir: Path, key: str | None) -> list[CacheEntry]:
    """Remove the entry of a key (or of its beginning), all of them without one; what was removed.

    OptdetError where no entry, or more than one, is meant.
    """
    entries = list_cache(cache_dir)
    chosen = entries if key is None else [_find(entries, key, cache_dir)]
    for entry in chosen:
        _remove(entry.path)
    return chosen


def evict(
    entries: Sequence[CacheEntry], max_gb: float, *, keep: str | None = None, only_say: bool = False
) -> list[CacheEntry]:
    """Of what ``list_cache`` gave, remove what was used longest ago until the rest fits into ``max_gb``; what
    was removed, or would be.

    What a process holds stays, and so does the entry of the key ``keep``.
    """
    excess = sum(entry.n_bytes for entry in entries) - max_gb * 1e9
    evicted = []
    for entry in reversed(entries):
        if excess <= 0:
            break
        if entry.key != keep and remove_unused(entry.path, _nothing if only_say else _remove):
            excess -= entry.n_bytes
            evicted.append(entry)
    return evicted


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        remove_images(path)


def _nothing(_path: Path) -> None:
    """Of what would be removed."""


def _find(entries: list[CacheEntry], key: str, cache_dir: Path) -> CacheEntry:
    found = [entry for entry in entries if entry.key == key] or [
        entry for entry in entries if key and entry.key.startswith(key)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise OptdetError(
            f"{len(found)} keys begin with {key!r}", where=str(cache_dir), fix="give more of it"
        )
    near = difflib.get_close_matches(key, [entry.key for entry in entries], n=1)
    fix = f"did you mean {near[0]}?" if near else "see `optdet cache list`"
    raise OptdetError(f"nothing is kept under the key {key!r}", where=str(cache_dir), fix=fix)


def _maps_entry(folder: Path) -> CacheEntry:
    note = read_note(folder)
    files = [(path.name, path.stat()) for path in folder.iterdir() if path.is_file()]
    noted = any(name == NOTE_NAME for name, _ in files)
    return CacheEntry(
        kind="maps",
        key=folder.name,
        source=note.title if note else None,
        preprocessing=note.preprocessing if note else None,
        made=note.made if note else None,
        n_images=sum(name.endswith(".npy") and not name.startswith(".") for name, _ in files),
        n_bytes=sum(status.st_size for _, status in files),
        last_used=last_written(folder / NOTE_NAME if noted else folder),
        path=folder,
    )


def _images_entry(kept: KeptImages) -> CacheEntry:
    return CacheEntry(
        kind="images",
        key=kept.key,
        source=None,
        preprocessing={"size": kept.size},
        made=None,
        n_images=kept.n_images,
        n_bytes=kept.n_bytes,
        last_used=kept.last_used,
        path=kept.path,
    )
