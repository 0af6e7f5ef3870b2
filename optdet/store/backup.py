"""A copy of the SQLite file as it is at one moment, whole, while workers write on.

One read transaction is held over all steps, so a writer neither waits for the copy nor makes it start again.
The copy is a single file: what the original has in its log is in it. It is checked, synced and then named.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from optuna.storages import RDBStorage

from optdet.atomic import atomic_file
from optdet.disk import disk_fault
from optdet.errors import OptdetError
from optdet.store.engine import BUSY_TIMEOUT_S, database_errors, sqlite_file
from optdet.store.url import shown_url

_PAGES_A_STEP = 1024  # 4 MB: an interrupt is heard between steps


def backup_database(storage: RDBStorage, out: Path | None = None, *, force: bool = False) -> Path:
    """Copy the database into ``out``, by default a file beside it named by the time; where it is.

    OptdetError for PostgreSQL, for a file that is there unless ``force``, and for a copy that is not sound.
    """
    file = sqlite_file(storage)
    if file is None:
        raise _by_the_server(storage)
    out = out or file.with_name(f"{file.stem}-{time.strftime('%Y%m%d-%H%M%S')}.db")
    _check_place(file, out, force=force)
    with database_errors(storage.engine.url):
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(out) as unnamed:
                _copy(file, Path(str(unnamed.name)))
        except (OSError, sqlite3.Error) as error:
            if isinstance(error, sqlite3.Error) and disk_fault(error) is None:
                raise  # the database's own; it is only read, so what the disk refuses is the copy
            reason = error.strerror if isinstance(error, OSError) else error
            raise OptdetError(
                f"the backup cannot be written ({reason})",
                where=str(out),
                fix="check the folder and the free space",
            ) from error
    return out


def _copy(file: Path, copy: Path) -> None:
    with (
        closing(sqlite3.connect(file, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as source,
        closing(sqlite3.connect(copy, isolation_level=None)) as target,
    ):
        source.execute("BEGIN")
        source.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()  # the moment that is copied
        source.backup(target, pages=_PAGES_A_STEP)
        source.execute("COMMIT")
        target.execute("PRAGMA journal_mode=DELETE").fetchone()  # readable where no log may be made
        found = target.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise OptdetError(
            f"the copy is not sound: {found.splitlines()[-1]}",
            where=str(file),
            fix="the database itself is damaged: go back to an earlier backup",
        )


def _check_place(file: Path, out: Path, *, force: bool) -> None:
    if out.is_dir():
        raise OptdetError("a folder, not a file", where=str(out), fix=f"name a file in it: {out}/optdet.db")
    if not out.exists():
        return
    if out.samefile(file):
        raise OptdetError("this is the database itself", where=str(out), fix="name another file")
    if not force:
        raise OptdetError("the file exists", where=str(out), fix="give another name, or --force")
    if any(Path(f"{out}{suffix}").exists() for suffix in ("-wal", "-journal")):
        raise OptdetError(
            "this is a database in use: its log would be taken for one of the backup",
            where=str(out),
            fix="name another file",
        )


def _by_the_server(storage: RDBStorage) -> OptdetError:
    url = storage.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return OptdetError(
        "PostgreSQL backs up its own databases",
        where=shown_url(url),
        fix=f"pg_dump --format=custom --file={storage.engine.url.database}.dump '{shown_url(url)}'",
    )
