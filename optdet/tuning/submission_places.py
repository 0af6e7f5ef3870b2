"""Where the files of submissions are: as it is stored, as it is shown, and whether they are there still."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from optdet.digest import file_sha256
from optdet.store.places import Places
from optdet.store.submissions import SubmissionRecord, kept_content
from optdet.tuning.study import Database


def stored_path(places: Places, path: Path) -> str:
    """A file's place as it is stored: relative to the root where it lies in that, or in the folder that the
    root lies in, so that the whole may be moved; else absolute."""
    beside = Places(places.root.parent).relative(path)
    if Path(beside).is_absolute() or not Path(places.relative(path)).is_absolute():
        return places.relative(path)
    return f"../{beside}"


def file_at(places: Places, stored: str) -> Path:
    """Where a stored place is, also while the root is not there: it may be a server's, with nothing in it."""
    return Path(os.path.normpath(places.absolute(stored)))


def shown_path(database: Database, record: SubmissionRecord) -> str:
    """Where a file is, for people: from the working directory where it lies in that."""
    path = file_at(database.places, place_of(database, record) or record.path)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def state_of(database: Database, record: SubmissionRecord) -> str:
    """``there``, ``gone``, or ``changed`` where other bytes have its latest place."""
    if place_of(database, record) is not None:
        return "there"
    return "changed" if file_at(database.places, record.path).is_file() else "gone"


def place_of(database: Database, record: SubmissionRecord) -> str | None:
    """The latest place that still has the file's bytes; None where none has."""
    for path in record.paths:
        with contextlib.suppress(OSError):
            if file_sha256(file_at(database.places, path)) == record.sha256:
                return path
    return None


def content_of(database: Database, record: SubmissionRecord) -> bytes | None:
    """The file's bytes, from one of its places, else as they are kept; None where they are lost."""
    place = place_of(database, record)
    if place is not None:
        content = file_at(database.places, place).read_bytes()
        if hashlib.sha256(content).hexdigest() == record.sha256:
            return content
    return kept_content(database.storage, record.sha256)
