"""Which databases keep their files in a root: those that lie there, and those that are noted in it.

A database that works in a root from elsewhere, PostgreSQL or a file in another folder, is noted there by its
URL without the password: so whoever removes files can ask it what it names. ``.databases`` has one a line; it
may be edited.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from optuna.storages import RDBStorage
from sqlalchemy import URL, Engine, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from optdet.errors import OptdetError
from optdet.store.engine import BUSY_TIMEOUT_S, POSTGRES_ARGUMENTS, database_errors, sqlite_file

NOTE_NAME = ".databases"
_SQLITE_HEAD = b"SQLite format 3\0"


def note_database(root: Path, storage: RDBStorage) -> None:
    """Let a root know of a database that keeps files in it, unless it lies there and so is found."""
    file = sqlite_file(storage)
    if file is not None and file.parent.resolve() == root.resolve():
        return
    url = storage.engine.url
    # A password would stand open there; PostgreSQL takes one in the query too.
    server = url._replace(password=None).difference_update_query(["password"])
    shown = f"sqlite:///{file.resolve()}" if file else server.render_as_string()
    note = root / NOTE_NAME
    if shown in _noted(note):
        return
    try:
        root.mkdir(parents=True, exist_ok=True)
        with note.open("a", encoding="utf-8") as lines:
            lines.write(f"{_line_end(note)}{shown}\n")
    except OSError as error:
        raise OptdetError(
            f"the database cannot be noted ({error.strerror})", where=str(note), fix="check the folder"
        ) from error


def other_databases(root: Path, storage: RDBStorage) -> Iterator[tuple[str, Engine]]:
    """Each database that uses a root, but for this one: what to call it, and an engine to read it with.

    OptdetError for one that cannot be asked: what it needs is not known.
    """
    own = sqlite_file(storage)
    for path in sorted({*_files_in(root), *_files_noted(root)}):
        # The own file is left alone: closing it here would drop the locks that this process has on it.
        if not (own is not None and own.exists() and path.samefile(own)) and _is_sqlite(path):
            connect = partial(
                sqlite3.connect, f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S
            )
            yield str(path), create_engine(f"sqlite:///{path}", creator=connect, poolclass=NullPool)
    for url in _servers_noted(root):
        with _asking(root, url):
            engine = create_engine(url, poolclass=NullPool, connect_args=POSTGRES_ARGUMENTS)
            is_own = own is None and _identity(engine) == _identity(storage.engine)
            if not is_own:
                engine.connect().close()
        if not is_own:
            yield url.render_as_string(), engine


def _line_end(note: Path) -> str:
    """What a file that somebody edited lacks at its end."""
    content = note.read_bytes()
    return "\n" if content and not content.endswith(b"\n") else ""


def _noted(note: Path) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return [line.strip() for line in note.read_text(encoding="utf-8").splitlines() if line.strip()]
    return []


def _noted_urls(root: Path) -> Iterator[URL]:
    for line in _noted(root / NOTE_NAME):
        try:
            yield make_url(line)
        except ArgumentError:
            raise OptdetError(
                f"{line!r} is no database URL", where=str(root / NOTE_NAME), fix="take the line out"
            ) from None


def _files_in(root: Path) -> Iterator[Path]:
    for path in root.iterdir() if root.is_dir() else ():
        if not path.name.startswith("."):
            yield path


def _files_noted(root: Path) -> Iterator[Path]:
    """Those that are there. A folder that is not there may come back with its disk, a file will not."""
    for url in _noted_urls(root):
        path = Path(url.database or "")
        if url.get_backend_name() != "sqlite" or path.resolve().parent == root.resolve():
            continue
        if not path.parent.is_dir():
            raise _cannot_be_asked(root, str(path), "its folder is not there")
        if path.exists():
            yield path


def _servers_noted(root: Path) -> list[URL]:
    return [url for url in _noted_urls(root) if url.get_backend_name() != "sqlite"]


def _is_sqlite(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_SQLITE_HEAD)) == _SQLITE_HEAD


def _identity(engine: Engine) -> tuple[str, str]:
    """The same for all URLs of one database on a server, and for no other's."""
    query = "SELECT pg_postmaster_start_time(), oid FROM pg_database WHERE datname = current_database()"
    with engine.connect() as connection:
        started, oid = connection.execute(text(query)).one()
    return str(started), str(oid)


@contextlib.contextmanager
def _asking(root: Path, url: URL) -> Iterator[None]:
    try:
        with database_errors(url):
            yield
    except ImportError as error:
        raise _cannot_be_asked(root, url.render_as_string(), f"{url.drivername} is not installed") from error
    except OptdetError as error:
        raise _cannot_be_asked(root, url.render_as_string(), error.what) from error


def _cannot_be_asked(root: Path, name: str, reason: str) -> OptdetError:
    return OptdetError(
        f"this database keeps files in {root} too, and cannot be asked which: {reason}",
        where=name,
        fix=f"let it be reached (a password: PGPASSWORD); if it is gone, take it out of {root / NOTE_NAME}",
    )
