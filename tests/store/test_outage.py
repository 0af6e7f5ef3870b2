"""A database that is away is told apart from one that cannot be used, and Optuna repeats nothing."""

from __future__ import annotations

import sqlite3
import time

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError

from optdet.disk import DiskUnusable
from optdet.errors import OptdetError
from optdet.store import engine as engine_module
from optdet.store.engine import close_storage, database_errors, open_storage, write_transaction
from optdet.store.outage import DatabaseAway, database_wait_s


@pytest.fixture
def locked(tmp_path, monkeypatch):
    """A storage with a study whose file another program has locked, and that program's connection."""
    monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_S", 0.1)
    storage = open_storage(tmp_path / "optdet.db")
    study = optuna.create_study(storage=storage, study_name="study")
    writer = sqlite3.connect(tmp_path / "optdet.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    yield storage, study, writer
    writer.close()
    close_storage(storage)


def test_a_lock_that_is_held_too_long_comes_through_optuna_at_once(locked):
    storage, study, writer = locked
    started = time.monotonic()
    with pytest.raises(
        DatabaseAway, match="the database is away: database is locked; another program holds it"
    ):
        study.ask()
    assert time.monotonic() - started < 1, "Optuna's own repetitions take seconds, and make trials twice"
    with pytest.raises(DatabaseAway), write_transaction(storage.engine, "a name"):
        pass
    writer.execute("ROLLBACK")
    study.ask()
    assert len(study.trials) == 1


def test_what_can_never_be_done_is_no_outage(storage):
    with (
        pytest.raises(OptdetError, match="the database cannot be used") as caught,
        write_transaction(storage.engine, "a name") as connection,
    ):
        connection.execute(text("SELECT * FROM nowhere"))
    assert not isinstance(caught.value, DatabaseAway)
    with (
        pytest.raises(StorageInternalError),
        optuna.storages._rdb.storage._create_scoped_session(storage.scoped_session) as session,
    ):
        session.execute(text("SELECT * FROM nowhere"))


def test_a_full_disk_has_its_own_remedy(tmp_path):
    storage = open_storage(tmp_path / "optdet.db")
    with storage.engine.begin() as connection:
        connection.execute(text("PRAGMA max_page_count = 1"))
        with pytest.raises(
            DiskUnusable, match=r"database or disk is full; make room there, then run"
        ) as full:
            connection.execute(text("CREATE TABLE t AS SELECT zeroblob(1000000)"))
    assert full.value.where is not None
    close_storage(storage)


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("DiskFull", "make room on the server's disk"),
        ("ReadOnlySqlTransaction", "make the database writable"),
    ],
)
def test_so_has_that_of_a_server(name, fix):
    errors = pytest.importorskip("psycopg.errors")
    url = make_url("postgresql+psycopg://host/optdet")
    given = getattr(errors, name)("no")
    with pytest.raises(DiskUnusable, match=f"the database cannot be used: no; {fix}"), database_errors(url):
        raise OperationalError("INSERT", {}, given) from given


@pytest.mark.postgres
def test_a_connection_that_the_server_ended_is_an_outage_in_a_transaction_and_none_before_it(storage):
    if storage.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no connections that end")
    connection = storage.engine.connect()
    connection.execute(text("SELECT 1"))
    end_connections(storage)
    with pytest.raises(DatabaseAway, match="the database is away"):
        connection.execute(text("SELECT 1"))
    connection.close()
    with storage.engine.begin() as connection:
        connection.execute(text("SELECT 1"))
    end_connections(storage)
    for _ in range(storage.engine.pool.size()):  # whichever of its connections the pool gives
        with storage.engine.begin() as connection:
            assert connection.scalar(text("SELECT 1")) == 1


def end_connections(storage):
    query = (
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    other = engine_module.private_engine(storage, busy_timeout_s=5)
    with other.begin() as connection:
        assert any(connection.scalars(text(query)))
    other.dispose()


@pytest.mark.parametrize(("given", "seconds"), [("", 600), ("90", 90), ("5s", 5), ("1.5m", 90), ("2h", 7200)])
def test_how_long_a_worker_waits(monkeypatch, given, seconds):
    monkeypatch.setenv("OPTDET_DATABASE_WAIT", given)
    assert database_wait_s() == seconds
    monkeypatch.setenv("OPTDET_DATABASE_WAIT", "soon")
    with pytest.raises(
        OptdetError, match="OPTDET_DATABASE_WAIT: 'soon' is not a time; write 600s, 10m or 1h"
    ):
        database_wait_s()


def test_an_interrupt_is_no_outage(storage, monkeypatch):
    """It costs a connection, too."""

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(storage.engine.dialect, "do_execute", interrupted)
    with pytest.raises(KeyboardInterrupt), storage.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
