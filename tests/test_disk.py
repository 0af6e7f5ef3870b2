"""Errors of a full or read-only disk, however deep the libraries wrapped them."""

from __future__ import annotations

import errno
import os
import sqlite3

import pytest
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import OperationalError

from optdet.disk import DiskUnusable, disk_fault, disk_faults
from optdet.errors import OptdetError, TrialFailed


def refused(number, path=None):
    return OSError(number, os.strerror(number), path)


def wrapped(inner, *outer, as_context=False):
    """The last of ``outer``, raised from the one before it, and so on."""
    for error in outer:
        if as_context:
            error.__context__ = inner
        else:
            error.__cause__ = inner
        inner = error
    return inner


@pytest.mark.parametrize(("name", "fix"), [("DiskFull", "make room"), ("ReadOnlySqlTransaction", "writable")])
def test_a_server_without_room(name, fix):
    errors = pytest.importorskip("psycopg.errors")
    error = wrapped(getattr(errors, name)("could not extend file"), OperationalError("INSERT", {}, None))
    fault = disk_fault(error)
    assert fault is not None
    assert fix in str(fault)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("as_context", [False, True])
def test_an_error_of_the_disk_is_found_below_others(number, as_context):
    error = wrapped(
        refused(number, "map.npy"), RuntimeError("torch"), ValueError("again"), as_context=as_context
    )
    fault = disk_fault(error)
    assert isinstance(fault, DiskUnusable)
    assert str(fault).startswith(f"map.npy: cannot be written ({os.strerror(number)}); ")
    assert str(fault).endswith("then run the same command again")


def full_database():
    """SQLite's own error: a database that may not grow."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE t (x)")
    connection.execute("PRAGMA max_page_count = 1")
    try:
        with pytest.raises(sqlite3.OperationalError) as raised:
            connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    finally:
        connection.close()
    return raised.value


def test_a_full_database_below_sqlalchemy_and_optuna():
    error = full_database()
    error = wrapped(error, OperationalError("INSERT", {}, error), StorageInternalError("commit"))
    assert "database or disk is full" in str(disk_fault(error))


def test_the_file_that_an_error_of_ours_names_is_kept():
    ours = OptdetError("the picture cannot be written", where="a.png", fix="check the rights")
    assert str(disk_fault(wrapped(refused(errno.ENOSPC), ours))).startswith("a.png: the picture cannot be")


def test_of_two_the_earlier_counts():
    """As where the slot cannot be given back either, after a checkpoint that could not be written."""
    checkpoint = wrapped(refused(errno.ENOSPC), OptdetError("the checkpoint", where="last.pt"))
    database = full_database()
    database.__context__ = checkpoint
    assert "last.pt" in str(disk_fault(wrapped(database, OptdetError("the database", where="optdet.db"))))


@pytest.mark.parametrize(
    "error",
    [
        refused(errno.EACCES, "a"),
        refused(errno.ENOENT, "a"),
        sqlite3.OperationalError("no such table"),
        wrapped(ValueError("x"), TrialFailed("the loss is not a number")),
    ],
)
def test_other_errors_pass_as_they_are(error):
    assert disk_fault(error) is None
    with pytest.raises(type(error)) as raised, disk_faults():
        raise error
    assert raised.value is error
