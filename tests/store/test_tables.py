"""A database of an earlier version is brought up to date in place, by one process, and loses nothing."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from sqlalchemy import inspect, text

from optdet.errors import OptdetError
from optdet.store import tables
from optdet.store.backup import backup_database
from optdet.store.engine import close_storage, open_storage
from optdet.store.registry import checkpoint_of, load_inner_trials
from optdet.store.submissions import list_submissions
from optdet.store.url import storage_url

DUMP = Path(__file__).parent.parent / "golden" / "database_v1.sql"
UUID = "00000000-0000-4000-8000-000000000001"
NEW = {"optdet_playbook_steps", "optdet_submissions", "optdet_board_scores", "optdet_submission_files"}


@pytest.fixture
def old(tmp_path):
    """A file that optdet's schema version 1 wrote."""
    file = tmp_path / "old.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(DUMP.read_text())
    return file


def rows(file):
    """Every row of every table but the version's."""
    with closing(sqlite3.connect(file)) as connection:
        names = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        kept = sorted(set(names) - NEW - {"optdet_version"})
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in kept}


def versions(file):
    with closing(sqlite3.connect(file)) as connection:
        return [version for (version,) in connection.execute("SELECT version FROM optdet_version")]


def test_a_database_of_version_1_is_upgraded_in_place(old):
    before = rows(old)
    storage = open_storage(old, create=False)
    assert list_submissions(storage) == []
    assert checkpoint_of(storage, UUID, 0, "best").path == "runs/old/t0000/best.pt"
    (inner,) = load_inner_trials(storage, UUID, 0)
    assert inner.scores.hmean == 1 / 3
    assert optuna.load_study(storage=storage, study_name="old").best_value == 0.96
    close_storage(storage)
    assert rows(old) == before
    assert versions(old) == [1, 2]
    close_storage(open_storage(old))
    assert versions(old) == [1, 2]


def test_it_has_then_what_a_new_one_has(old, tmp_path):
    for file in (old, tmp_path / "new.db"):
        close_storage(open_storage(file))

    def schema(file):
        with closing(sqlite3.connect(file)) as connection:
            found = connection.execute("SELECT name, sql FROM sqlite_master WHERE name LIKE 'optdet_%'")
            return dict(found.fetchall())

    assert schema(old) == schema(tmp_path / "new.db")
    assert schema(old).keys() >= NEW


def test_a_table_that_is_missing_is_made_whatever_the_version(tmp_path):
    """As in a database of this version from before the table came."""
    file = tmp_path / "early.db"
    close_storage(open_storage(file))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("DROP TABLE optdet_playbook_steps")
    close_storage(open_storage(file))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("SELECT stage FROM optdet_playbook_steps")
    assert versions(file) == [2]


def test_many_processes_upgrade_it_at_once(old, workers):
    outcomes = [done.outcome for done in workers.run(storage_url(old), "open", n=6)]
    assert outcomes == ["opened"] * 6
    assert versions(old) == [1, 2]


def test_a_backup_from_before_is_upgraded_too(old, tmp_path):
    shutil.copyfile(old, tmp_path / "copy.db")
    storage = open_storage(old)
    copy = backup_database(storage, tmp_path / "after.db")
    close_storage(storage)
    assert versions(copy) == [1, 2]
    close_storage(open_storage(tmp_path / "copy.db", create=False))
    assert versions(tmp_path / "copy.db") == [1, 2]


def test_an_earlier_optdet_refuses_it(old, monkeypatch):
    close_storage(open_storage(old))
    monkeypatch.setattr(tables, "SCHEMA_VERSION", 1)
    with pytest.raises(OptdetError, match=r"\(schema 2\), this is .* \(schema 1\); upgrade optdet"):
        open_storage(old)


@pytest.mark.postgres
def test_a_server_of_version_1_is_upgraded_by_many_at_once(postgres_url, workers):
    storage = open_storage(postgres_url)
    optuna.create_study(storage=storage, study_name="kept")
    with storage.engine.begin() as connection:
        for name in NEW:
            connection.execute(text(f"DROP TABLE {name}"))
        connection.execute(text("UPDATE optdet_version SET version = 1"))
    outcomes = [done.outcome for done in workers.run(postgres_url, "open", n=6)]
    assert outcomes == ["opened"] * 6
    with storage.engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) >= NEW
        found = connection.execute(text("SELECT version FROM optdet_version ORDER BY version"))
        assert list(found.scalars()) == [1, 2]
    assert optuna.get_all_study_names(storage) == ["kept"]
    close_storage(storage)
