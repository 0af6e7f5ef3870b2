"""Opening the database of studies: a SQLite file, or PostgreSQL by URL.

SQLite needs settings that Optuna does not make. Its default transactions start as readers, so two workers
take the same queued trial, and a writer that is in the way raises "database is locked". Hence write-ahead
logging, ``BEGIN IMMEDIATE`` for every transaction that may write and a long busy timeout. The file must lie
on a local disk.

Relative paths stay relative to the working directory. A storage belongs to the process that opened it: a
pickled one loses the settings, and a forked child must open its own. Threads may share one.
"""

from __future__ import annotations

import errno
import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import URL, Engine, create_engine, event, func, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from optdet.errors import OptdetError
from optdet.store.outage import first_line, raise_outages, unusable
from optdet.store.reading import Storage, is_reading, reading
from optdet.store.tables import check_version, ensure_tables, installed_version, is_complete
from optdet.store.url import file_of, is_sqlite, parse_url, shown, storage_url

BUSY_TIMEOUT_S = 60.0
# A server whose machine or network vanishes sends no word of it: without these a worker waits for hours.
POSTGRES_ARGUMENTS = {
    "connect_timeout": 10,  # seconds
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # milliseconds
}
DATABASE_ERRORS = (SQLAlchemyError, StorageInternalError, sqlite3.Error)


def open_storage(
    url: str | Path, *, create: bool = True, kind: Callable[..., RDBStorage] = Storage
) -> RDBStorage:
    """Optuna's storage with optdet's tables and settings; made on the first call, and brought up to date on
    the first of a newer optdet, by one process only. ``kind`` is called as :class:`Storage` is."""
    parsed = parse_url(storage_url(url))
    with database_errors(parsed), _setup_errors(parsed):
        file = file_of(parsed)
        if file is not None:
            _check_file(file, create=create)
        with _creation_lock(parsed, file):
            there = _tables_there(parsed)
            if there == "none" and not create:
                raise _nothing_here(parsed)
            if there != "all":
                return _connect(parsed, kind)
        return _connect(parsed, kind)


def sqlite_file(storage: RDBStorage) -> Path | None:
    """The file of a database; None for one on a server."""
    return file_of(storage.engine.url)


def close_storage(storage: RDBStorage) -> None:
    """Close this thread's session and the idle connections; the last one folds SQLite's log into the file."""
    storage.remove_session()
    storage.engine.dispose()


def private_engine(storage: RDBStorage, *, busy_timeout_s: float) -> Engine:
    """An engine of its own on the same database, for a thread that must not wait for others' connections."""
    url = storage.engine.url
    engine = create_engine(url, poolclass=NullPool, **_engine_arguments(url, busy_timeout_s))
    if is_sqlite(url):
        _set_up_sqlite(engine, busy_timeout_s)
    return engine


@contextmanager
def write_transaction(engine: Engine, lock_name: str) -> Iterator[Connection]:
    """One transaction at a time for a name: by SQLite's one write lock, by an advisory one on PostgreSQL."""
    with database_errors(engine.url), engine.begin() as connection:
        if not is_sqlite(engine.url):
            digest = hashlib.sha256(lock_name.encode()).digest()
            key = int.from_bytes(digest[:8], "big", signed=True)
            connection.execute(select(func.pg_advisory_xact_lock(key)))
        yield connection


@contextmanager
def read_transaction(engine: Engine) -> Iterator[Connection]:
    """For a look at what is committed: in SQLite it waits for no writer, and holds none up."""
    with database_errors(engine.url), engine.connect() as connection:
        with reading():
            transaction = connection.begin()
        with transaction:
            yield connection


@contextmanager
def database_errors(url: URL) -> Iterator[None]:
    """Turn what a driver raises into one line without the SQL; a broken constraint is a defect of ours."""
    try:
        yield
    except IntegrityError:
        raise
    except DATABASE_ERRORS as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
        reason = first_line(cause.orig if isinstance(cause, DBAPIError) and cause.orig else cause)
        raise unusable(error, reason, shown(url)) from error


@contextmanager
def _setup_errors(url: URL) -> Iterator[None]:
    """Errors that only opening can meet: folders, drivers, and a schema of another Optuna."""
    try:
        yield
    except ImportError as error:
        raise OptdetError(
            f"the driver {url.drivername} is not installed",
            where=shown(url),
            fix='install it: pip install "optdet[postgres]"',
        ) from error
    except OSError as error:
        fix = "name a file in a folder that may be written, with --storage or OPTDET_STORAGE"
        if error.errno == errno.EROFS:  # nobody opens it without a lock file beside it
            fix = "make the disk writable, or copy the folder to one that is"
        raise OptdetError(
            f"the database cannot be opened: {error.strerror or error}", where=shown(url), fix=fix
        ) from error
    except RuntimeError as error:
        # Optuna's own words name its command that upgrades the schema.
        raise OptdetError(" ".join(str(error).split()), where=shown(url)) from error


def _nothing_here(url: URL) -> OptdetError:
    file = file_of(url)
    missing = f": no file {file.absolute()}" if file is not None and not file.exists() else ""
    return OptdetError(
        f"there are no studies yet{missing}", where=shown(url), fix="create one with `optdet study create`"
    )


def _check_file(file: Path, *, create: bool) -> None:
    where = str(file)
    if file.is_dir():
        raise OptdetError("a folder, not a database", where=where, fix=f"name a file in it: {file}/optdet.db")
    if file.exists() and file.stat().st_size > 0:
        if not _is_database(file):
            raise OptdetError("not a SQLite database", where=where, fix="name another file with --storage")
    elif not create:
        raise _nothing_here(URL.create("sqlite", database=where))
    else:
        file.parent.mkdir(parents=True, exist_ok=True)


def _is_database(file: Path) -> bool:
    """Asked of SQLite: to read the file here, and close it, would drop every lock that this process has on it
    (POSIX), and another process could take a database in use for one that was left open.
    """
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
    try:
        connection.execute("PRAGMA schema_version")
    except sqlite3.DatabaseError as error:
        return error.sqlite_errorcode != sqlite3.SQLITE_NOTADB  # locked or read-only: told where it matters
    finally:
        connection.close()
    return True


@contextmanager
def _creation_lock(url: URL, file: Path | None) -> Iterator[None]:
    """Held while somebody looks whether the tables are there, and makes them where they are not."""
    if file is not None:
        with FileLock(f"{file}.lock", timeout=BUSY_TIMEOUT_S):
            yield
        return
    engine = create_engine(url, poolclass=NullPool, **_engine_arguments(url, BUSY_TIMEOUT_S))
    with write_transaction(engine, "optdet:create"):
        yield


def _tables_there(url: URL) -> Literal["none", "some", "all"]:
    """Which of optdet's tables; a database of a newer optdet is refused."""
    engine = create_engine(url, poolclass=NullPool, **_engine_arguments(url, BUSY_TIMEOUT_S))
    with engine.connect() as connection:
        # Before Optuna looks: a newer optdet may have brought a newer Optuna, and the cause is ours.
        check_version(connection)
        if installed_version(connection) is None:
            return "none"
        return "all" if is_complete(connection) else "some"


def _connect(url: URL, kind: Callable[..., RDBStorage]) -> RDBStorage:
    text = url.render_as_string(hide_password=False)
    # Optuna formats the URL as a template: a brace in a path must be doubled.
    template = text.replace("{", "{{").replace("}", "}}")
    storage = kind(template, engine_kwargs=_engine_arguments(url, BUSY_TIMEOUT_S))
    if is_sqlite(url):
        _set_up_sqlite(storage.engine, BUSY_TIMEOUT_S)
        storage.engine.dispose()  # the connection that Optuna opened has none of these settings
    raise_outages(storage.engine, shown(url))
    try:
        # Where the tables are there, it is still the first BEGIN IMMEDIATE: a read-only file shows here.
        ensure_tables(storage.engine)
    except BaseException:
        close_storage(storage)
        raise
    return storage


def _engine_arguments(url: URL, busy_timeout_s: float) -> dict[str, Any]:
    if is_sqlite(url):
        return {"connect_args": {"timeout": busy_timeout_s}}
    if url.get_driver_name() in ("psycopg", "psycopg2"):
        # A connection from before a restart of the server is found out before it is used, not in its midst.
        return {"connect_args": POSTGRES_ARGUMENTS, "pool_pre_ping": True}
    return {}


def _set_up_sqlite(engine: Engine, busy_timeout_s: float) -> None:
    @event.listens_for(engine, "connect")
    def _connected(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # no implicit BEGIN from the driver: ours comes below
        for pragma in (
            f"busy_timeout={round(busy_timeout_s * 1000)}",
            "journal_mode=WAL",
            "synchronous=NORMAL",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if is_reading() else "BEGIN IMMEDIATE")
