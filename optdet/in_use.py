"""Files and folders in use: who reads one holds a shared lock on it, and meanwhile nobody evicts it.

The lock (``flock``) lies on the thing itself, so there is no lock file to be cleared away, and the kernel
drops it with the process, however that ends. A file system that has no such locks keeps everything.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import weakref
from collections.abc import Callable
from pathlib import Path


class Hold:
    """Something in use until ``release``, or until the hold is forgotten."""

    def __init__(self, descriptor: int) -> None:
        self.release = weakref.finalize(self, os.close, descriptor)


def hold(path: Path) -> Hold | None:
    """Keep a file or folder from being evicted; None where it is not there, or was just evicted."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    held = Hold(descriptor)
    with contextlib.suppress(OSError):  # no such locks there: evicting finds that out as well
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    try:
        is_there = os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        is_there = False
    if is_there:
        return held
    held.release()
    return None


def last_written(path: Path) -> float:
    """When a file or folder was last changed or marked as used, in seconds since the epoch.

    A time in the future is from before the clock was set back. It is made now, to grow old from here on: else
    it would be the newest of all until the clock has come there.
    """
    written, now = path.lstat().st_mtime, time.time()
    if written <= now:
        return written
    with contextlib.suppress(OSError):  # somebody else's file
        os.utime(path, (now, now), follow_symlinks=False)
    return now


def remove_unused(path: Path, remove: Callable[[Path], None]) -> bool:
    """Call ``remove(path)`` unless somebody holds it, in this process or another; whether it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        remove(path)
        return True
    finally:
        os.close(descriptor)
