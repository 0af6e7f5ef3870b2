"""Transactions that only read: in SQLite they wait for no writer, and hold none up.

Every other one takes SQLite's write lock when it begins (see ``engine``). Optuna reads more often than it
writes, and a worker that reads would wait for each of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

from optuna.storages import RDBStorage

READS = (
    "get_study_id_from_name",
    "get_study_name_from_id",
    "get_study_directions",
    "get_study_user_attrs",
    "get_study_system_attrs",
    "get_all_studies",
    "get_trial_id_from_study_id_trial_number",
    "get_trial",
    "get_trial_param",
    "get_trial_user_attrs",
    "get_trial_system_attrs",
    "_get_trials",
    "_get_best_trial_id",
)
"""What of Optuna's storage writes nothing; each is one transaction, and sees what is committed by then."""

_reading: ContextVar[bool] = ContextVar("reading", default=False)


@contextmanager
def reading() -> Iterator[None]:
    """Transactions that this thread begins in the block are for reading alone."""
    token = _reading.set(True)
    try:
        yield
    finally:
        _reading.reset(token)


def is_reading() -> bool:
    return _reading.get()


class Storage(RDBStorage):
    """Optuna's storage, whose reads are ``reading()``."""


def _reads(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def read(*args: Any, **kwargs: Any) -> Any:
        with reading():
            return method(*args, **kwargs)

    return read


for _name in READS:
    setattr(Storage, _name, _reads(getattr(RDBStorage, _name)))
