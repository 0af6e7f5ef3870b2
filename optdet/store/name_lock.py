"""One process at a time for a name. Whoever waits for it can be interrupted: no transaction is open yet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock
from optuna.storages import RDBStorage

from optdet.store.engine import write_transaction
from optdet.store.url import file_of


@contextmanager
def named_lock(storage: RDBStorage, name: str) -> Iterator[None]:
    """One worker at a time for a name, over many transactions of Optuna's: it writes while this is held.

    For SQLite it is a file beside the database that all names share: SQLite's own lock is the writer's.
    """
    file = file_of(storage.engine.url)
    if file is not None:
        with FileLock(f"{file}.names.lock"):
            yield
        return
    with write_transaction(storage.engine, name):
        yield
