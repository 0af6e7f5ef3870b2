"""Files and folders on their way out: their sizes in bytes, and their removal, which may be repeated."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path


def n_bytes(path: Path) -> int:
    """Of a file, or of all files below a folder; 0 where there is nothing."""
    if not path.is_dir():
        return path.stat().st_size if path.exists() else 0
    return sum(inside.lstat().st_size for inside in path.rglob("*") if not inside.is_dir())


def remove(path: Path) -> None:
    """A file, or a folder with all that is in it; of a link to one, both."""
    if path.is_dir():
        shutil.rmtree(path.resolve())
    if path.is_symlink() or path.exists():
        path.unlink(missing_ok=True)


def remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            remove(folder)
