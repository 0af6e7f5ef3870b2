"""Files that a reader sees whole or not at all: temporary file, fsync, rename, fsync of the folder."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path

SUFFIX = ".tmp"
"""What a killed writer leaves behind is hidden (a leading dot) and ends so."""


@contextmanager
def atomic_file(path: Path) -> Iterator[BufferedRandom]:
    """A new file, open for writing and reading, that takes the place of ``path`` when the block ends well.

    OSError passes through, naming a file, with what stood there before untouched.
    """
    # Not the whole target's name, which may already be as long as the file system allows.
    temporary = path.parent / f".{path.name[:80]}.{os.getpid()}.{secrets.token_hex(4)}{SUFFIX}"
    try:
        with temporary.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        if error.filename is None:  # a write and a sync know no name
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove what killed writers left in a folder and those below it; for whoever alone writes there."""
    for path in folder.rglob(f".*{SUFFIX}"):
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Without it a power cut can undo the rename."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
