"""A disk that is full or may not be written, told apart from every other failure.

It is no fault of the work that met it: after room was made the same work goes on. The libraries between wrap
what the system said (torch in a RuntimeError, SQLAlchemy and Optuna in errors of their own), so the whole
chain of an exception is looked at.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from optdet.errors import OptdetError

_FULL = "make room there, then run the same command again"
_READ_ONLY = "make it writable again, then run the same command again"
_FIXES = {errno.ENOSPC: _FULL, errno.EDQUOT: _FULL, errno.EROFS: _READ_ONLY}
_SQLITE_FIXES = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    # A quota that is used up, and the shared memory of the write-ahead log: SQLite says no more.
    sqlite3.SQLITE_IOERR: f"check the space on its disk: {_FULL}",
}
_SQLSTATE_FIXES = {
    "53100": "make room on the server's disk, then run the same command again",  # disk_full
    "25006": "make the database writable again, then run the same command again",  # read_only_sql_transaction
}


class DiskUnusable(OptdetError):
    """The disk is full or read-only; what was to be written there is not, and what stood there still does."""


def disk_fault(error: BaseException) -> DiskUnusable | None:
    """The refusal of the disk that this error comes from, the earliest of several; None for other errors."""
    found: DiskUnusable | None = None
    wrapper: OptdetError | None = None  # it names the file where the system's error does not
    for link in _chain(error):
        if isinstance(link, OptdetError):
            wrapper = link
        fix = _fix(link)
        if fix is None:
            continue
        found = wrapper if isinstance(wrapper, DiskUnusable) else _fault(link, wrapper, fix)
    return found


@contextmanager
def disk_faults() -> Iterator[None]:
    """DiskUnusable for every error of the block that comes from a full or read-only disk."""
    try:
        yield
    except Exception as error:
        fault = disk_fault(error)
        if fault is None or fault is error:
            raise
        raise fault from error


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _fix(error: BaseException) -> str | None:
    if isinstance(error, OSError):
        return _FIXES.get(error.errno or 0)
    if isinstance(error, sqlite3.Error):
        # The lowest byte is the kind, the others say more of it; an error of the driver's own has no code.
        return _SQLITE_FIXES.get((getattr(error, "sqlite_errorcode", None) or 0) & 0xFF)
    return _SQLSTATE_FIXES.get(str(getattr(error, "sqlstate", None)))  # of psycopg's errors


def _fault(error: BaseException, wrapper: OptdetError | None, fix: str) -> DiskUnusable:
    if wrapper is not None:
        return DiskUnusable(wrapper.what, where=wrapper.where, fix=fix)
    if isinstance(error, OSError):
        where = str(error.filename) if error.filename else None
        return DiskUnusable(f"cannot be written ({error.strerror})", where=where, fix=fix)
    return DiskUnusable(f"the database cannot be written: {error}", fix=fix)
