"""The folder in which the files of a study that is copied stand until its rows are written."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout


def staged_name(study: str) -> str:
    """Beside the run folders of studies, none of whose names begins with a dot."""
    return f".{study}.copying"


def staging_lock(staged: Path) -> FileLock:
    """Held for as long as a study is copied."""
    return FileLock(f"{staged}.lock")


def is_staged_for_nobody(staged: Path) -> bool:
    """What a copy that was killed has left."""
    try:
        with staging_lock(staged).acquire(timeout=0):
            return True
    except Timeout:
        return False
