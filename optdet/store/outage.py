"""A database that is away for a while: told apart from one that can never be used.

Away are a server that is down, starting or out of reach, one that broke off a transaction, and a SQLite file
whose write lock another program keeps for longer than the busy timeout. What was being done is then rolled
back, or committed without an answer: nobody can tell. So nothing is repeated here, and Optuna must not repeat
it either, as it does where it makes a trial: whoever catches the error looks at the database first.
"""

from __future__ import annotations

import os
import sqlite3

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import OperationalError

from optdet.disk import DiskUnusable, disk_fault
from optdet.errors import OptdetError
from optdet.phrases import parse_duration

WAIT_VARIABLE = "OPTDET_DATABASE_WAIT"
DEFAULT_WAIT_S = 600.0
_SHUTTING_DOWN_OR_STARTING = ("57P01", "57P02", "57P03")


class DatabaseAway(OptdetError):
    """The database did not answer; what was asked of it may be done or not."""


def raise_outages(engine: Engine, where: str) -> None:
    """From now on DatabaseAway and DiskUnusable come out of the engine, past Optuna's handling of
    SQLAlchemy's errors, which writes a traceback."""

    @event.listens_for(engine, "handle_error")
    def _failed(context: ExceptionContext) -> None:
        error = context.original_exception
        if not isinstance(error, Exception):  # an interrupt, which costs a connection: no database is away
            return
        if disk_fault(error) is not None:
            raise unusable(error, first_line(error), where) from error
        if context.is_pre_ping or not _is_outage(context):  # a stale connection is replaced by a new one
            return
        raise DatabaseAway(
            f"the database is away: {first_line(error)}", where=where, fix=_remedy(str(error))
        ) from error


def database_wait_s() -> float:
    """How long a worker waits for a database that is away: OPTDET_DATABASE_WAIT, else ten minutes."""
    given = os.environ.get(WAIT_VARIABLE)
    if not given:
        return DEFAULT_WAIT_S
    seconds = parse_duration(given)
    if seconds is None:
        raise OptdetError(f"{given!r} is not a time", where=WAIT_VARIABLE, fix="write 600s, 10m or 1h")
    return seconds


def first_line(error: BaseException) -> str:
    """What a driver says, without the lines of advice and SQL below it."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def unusable(error: BaseException, reason: str, where: str) -> OptdetError:
    """DiskUnusable where that is why the database failed, with what to do about that disk."""
    what = f"the database cannot be used: {reason}"
    fault = disk_fault(error)
    if fault is not None:
        return DiskUnusable(what, where=where, fix=fault.fix)
    return OptdetError(what, where=where, fix=_remedy(reason))


def _remedy(reason: str) -> str:
    if "locked" in reason:
        return "another program holds it: close that program, then run the same command again"
    return "check --storage or OPTDET_STORAGE"


def _is_outage(context: ExceptionContext) -> bool:
    error = context.original_exception
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    if context.is_disconnect or getattr(error, "sqlstate", None) in _SHUTTING_DOWN_OR_STARTING:
        return True
    return context.connection is None and isinstance(context.sqlalchemy_exception, OperationalError)
