"""Opening the database of studies: a SQLite file, or PostgreSQL by URL.

SQLite needs settings that Optuna does not make. Its default transactions start as readers, so two workers
take the same queued trial, and a writer that is in the way raises "database is locked". Hence write-ahead
logging, ``BEGIN IMMEDIATE`` for every transaction (reads too) and a long busy timeout. The file must lie on
a local disk.

Relative paths stay relative to the working directory. A storage belongs to the process that opened it: a
pickled one loses the settings, and a forked child must open its own. Threads may share one.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import URL, Engine, create_engine, event, func, make_url, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from optdet.errors import OptdetError
from optdet.store.outage import first_line, raise_outages, remedy
from optdet.store.tables import check_version, ensure_tables, installed_version

DEFAULT_STORAGE = Path("studies/optdet.db")
STORAGE_VARIABLE = "OPTDET_STORAGE"
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


def storage_url(value: str | Path | None = None) -> str:
    """The URL of the database: of the argument, else of OPTDET_STORAGE, else of studies/optdet.db."""
    given = str(value or os.environ.get(STORAGE_VARIABLE) or DEFAULT_STORAGE)
    if "://" in given:
        # SQLAlchemy's default driver for a bare scheme changed between releases; this is the one we install.
        return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", given)
    if re.match(r"(sqlite|postgres(ql)?)(\+\w+)?:", given):
        raise OptdetError(
            "not a database URL", where=given, fix="write sqlite:///PATH or postgresql://USER@HOST/NAME"
        )
    path = os.path.expanduser(given)
    url = URL.create("sqlite", database=path).render_as_string(hide_password=False)
    if make_url(url).database != path:
        raise OptdetError("this path cannot be written as a URL", where=given, fix="leave out '?' and '%'")
    return url


def root_of(url: str | Path, root: str | Path | None = None) -> Path:
    """Where a study's files lie: the given root, else the SQLite file's folder, else ./studies; absolute."""
    if root is not None:
        return Path(root).expanduser().absolute()
    file = _sqlite_file(_parse(storage_url(url)))
    return (file.parent if file else DEFAULT_STORAGE.parent).absolute()


def open_storage(url: str | Path, *, create: bool = True) -> RDBStorage:
    """Optuna's storage with optdet's tables and settings; made on the first call, by one process only."""
    parsed = _parse(storage_url(url))
    with database_errors(parsed), _setup_errors(parsed):
        file = _sqlite_file(parsed)
        if file is not None:
            _check_file(file, create=create)
        with _creation_lock(parsed, file):
            if not _has_tables(parsed):
                if not create:
                    raise _nothing_here(parsed)
                return _connect(parsed)
        return _connect(parsed)


def sqlite_file(storage: RDBStorage) -> Path | None:
    """The file of a database; None for one on a server."""
    return _sqlite_file(storage.engine.url)


def close_storage(storage: RDBStorage) -> None:
    """Close this thread's session and the idle connections; the last one folds SQLite's log into the file."""
    storage.remove_session()
    storage.engine.dispose()


def private_engine(storage: RDBStorage, *, busy_timeout_s: float) -> Engine:
    """An engine of its own on the same database, for a thread that must not wait for others' connections."""
    url = storage.engine.url
    engine = create_engine(url, poolclass=NullPool, **_engine_arguments(url, busy_timeout_s))
    if _is_sqlite(url):
        _set_up_sqlite(engine, busy_timeout_s)
    return engine


@contextmanager
def write_transaction(engine: Engine, lock_name: str) -> Iterator[Connection]:
    """One transaction at a time for a name: by SQLite's one write lock, by an advisory one on PostgreSQL."""
    with database_errors(engine.url), engine.begin() as connection:
        if not _is_sqlite(engine.url):
            digest = hashlib.sha256(lock_name.encode()).digest()
            key = int.from_bytes(digest[:8], "big", signed=True)
            connection.execute(select(func.pg_advisory_xact_lock(key)))
        yield connection


@contextmanager
def named_lock(storage: RDBStorage, name: str) -> Iterator[None]:
    """One worker at a time for a name, over many transactions of Optuna's: it writes while this is held.

    For SQLite it is a file beside the database that all names share: SQLite's own lock is the writer's.
    """
    file = _sqlite_file(storage.engine.url)
    if file is not None:
        with FileLock(f"{file}.names.lock"):
            yield
        return
    with write_transaction(storage.engine, name):
        yield


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
        raise OptdetError(
            f"the database cannot be used: {reason}", where=_shown(url), fix=remedy(reason)
        ) from error


@contextmanager
def _setup_errors(url: URL) -> Iterator[None]:
    """Errors that only opening can meet: folders, drivers, and a schema of another Optuna."""
    try:
        yield
    except ImportError as error:
        raise OptdetError(
            f"the driver {url.drivername} is not installed",
            where=_shown(url),
            fix='install it: pip install "optdet[postgres]"',
        ) from error
    except OSError as error:
        raise OptdetError(
            f"the database cannot be opened: {error.strerror or error}",
            where=_shown(url),
            fix="name a file in a folder that may be written, with --storage or OPTDET_STORAGE",
        ) from error
    except RuntimeError as error:
        # Optuna's own words name its command that upgrades the schema.
        raise OptdetError(" ".join(str(error).split()), where=_shown(url)) from error


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        known = parsed.get_backend_name() in ("sqlite", "postgresql")
    except (SQLAlchemyError, ValueError) as error:
        raise OptdetError(
            "not a database URL",
            where=re.sub(r"//[^/]*@", "//***@", url),
            fix="write sqlite:///PATH or postgresql://USER@HOST/NAME",
        ) from error
    if not known:
        raise OptdetError(
            f"studies cannot be kept in {parsed.get_backend_name()}",
            where=_shown(parsed),
            fix="use a SQLite file or postgresql://USER@HOST/NAME",
        )
    if _is_sqlite(parsed) and parsed.host:
        raise OptdetError("a SQLite URL has three slashes", where=_shown(parsed), fix="write sqlite:///PATH")
    if _is_sqlite(parsed) and (parsed.database or ":memory:").startswith((":memory:", "file:")):
        raise OptdetError("studies need a database file", where=_shown(parsed), fix="write sqlite:///PATH")
    return parsed


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _sqlite_file(url: URL) -> Path | None:
    return Path(url.database) if _is_sqlite(url) and url.database else None


def shown_url(url: str) -> str:
    """A database as it may be shown: a URL without its password, a path as it is."""
    return _shown(make_url(url)) if "://" in url else url


def _shown(url: URL) -> str:
    if "password" in url.query:  # PostgreSQL takes it there too
        url = url.update_query_dict({"password": "***"})
    return url.render_as_string(hide_password=True).replace("password=%2A%2A%2A", "password=***")


def _nothing_here(url: URL) -> OptdetError:
    return OptdetError(
        "there are no studies yet", where=_shown(url), fix="create one with `optdet study create`"
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


def _has_tables(url: URL) -> bool:
    engine = create_engine(url, poolclass=NullPool, **_engine_arguments(url, BUSY_TIMEOUT_S))
    with engine.connect() as connection:
        # Before Optuna looks: a newer optdet may have brought a newer Optuna, and the cause is ours.
        check_version(connection)
        return installed_version(connection) is not None


def _connect(url: URL) -> RDBStorage:
    text = url.render_as_string(hide_password=False)
    # Optuna formats the URL as a template: a brace in a path must be doubled.
    template = text.replace("{", "{{").replace("}", "}}")
    storage = RDBStorage(template, engine_kwargs=_engine_arguments(url, BUSY_TIMEOUT_S))
    if _is_sqlite(url):
        _set_up_sqlite(storage.engine, BUSY_TIMEOUT_S)
        storage.engine.dispose()  # the connection that Optuna opened has none of these settings
    raise_outages(storage.engine, _shown(url))
    try:
        # Where the tables are there, it is still the first BEGIN IMMEDIATE: a read-only file shows here.
        ensure_tables(storage.engine)
    except BaseException:
        close_storage(storage)
        raise
    return storage


def _engine_arguments(url: URL, busy_timeout_s: float) -> dict[str, Any]:
    if _is_sqlite(url):
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
        connection.exec_driver_sql("BEGIN IMMEDIATE")
