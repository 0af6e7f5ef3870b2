"""Naming, opening and creating the database; every way in which it cannot be used is one line."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import optuna
import pytest
from sqlalchemy import text

from optdet.errors import OptdetError
from optdet.store.engine import close_storage, open_storage, read_transaction, write_transaction
from optdet.store.url import root_of, storage_url


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "studies" / "optdet.db"


def make(file: Path) -> None:
    close_storage(open_storage(file))


def refused(url: str | Path, *, create: bool = True) -> str:
    with pytest.raises(OptdetError) as caught:
        open_storage(url, create=create)
    line = str(caught.value)
    assert "\n" not in line
    assert "SELECT" not in line
    return line


def test_the_url_is_the_arguments_else_the_environments_else_the_default(monkeypatch):
    monkeypatch.delenv("OPTDET_STORAGE", raising=False)
    assert storage_url() == "sqlite:///studies/optdet.db"
    monkeypatch.setenv("OPTDET_STORAGE", "/data/all.db")
    assert storage_url() == "sqlite:////data/all.db"
    assert storage_url("mine.db") == "sqlite:///mine.db"
    assert storage_url(Path("a b/mine.db")) == "sqlite:///a b/mine.db"
    monkeypatch.setenv("OPTDET_STORAGE", "")
    assert storage_url() == "sqlite:///studies/optdet.db"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_gets_the_driver_that_is_installed(scheme):
    assert storage_url(f"{scheme}://me:secret@host/name") == "postgresql+psycopg://me:secret@host/name"


def test_other_drivers_and_urls_stay_as_they_are():
    for url in ("sqlite:///x.db", "postgresql+psycopg2://host/name"):
        assert storage_url(url) == url


def test_root_is_the_files_folder_unless_it_is_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert root_of("sqlite:///studies/optdet.db") == tmp_path / "studies"
    assert root_of("sqlite:////data/all.db") == Path("/data")
    assert root_of("postgresql://host/name") == tmp_path / "studies"
    assert root_of("sqlite:////data/all.db", root="runs") == tmp_path / "runs"


@pytest.mark.parametrize("name", ["optdet.db", "a b#c.db", "{x}%41.db", "zoë.sqlite"])
def test_it_is_created_where_it_was_named_with_its_folder(tmp_path, name):
    file = tmp_path / "new" / name
    storage = open_storage(file)
    optuna.create_study(storage=storage, study_name="kept")
    close_storage(storage)
    assert file.is_file()
    storage = open_storage(file, create=False)
    assert optuna.get_all_study_names(storage) == ["kept"]
    close_storage(storage)


def test_a_relative_path_stays_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPTDET_STORAGE", raising=False)
    close_storage(open_storage(storage_url()))
    assert (tmp_path / "studies" / "optdet.db").is_file()


def test_sqlite_has_the_settings_that_workers_need(file):
    storage = open_storage(file)
    with storage.engine.begin() as connection:
        found = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        }
        assert found == {"journal_mode": "wal", "synchronous": 1, "busy_timeout": 60_000}
        # A transaction that has only read holds the write lock already.
        other = sqlite3.connect(file, timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()
    close_storage(storage)


def test_six_processes_create_it_at_once(workers, file):
    outcomes = [done.outcome for done in workers.run(storage_url(file), "open", n=6)]
    assert outcomes == ["opened"] * 6
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT version FROM optdet_version").fetchall() == [(2,)]
    connection.close()


def test_an_optuna_database_is_taken_as_it_is(tmp_path):
    file = tmp_path / "optuna.db"
    plain = optuna.storages.RDBStorage(f"sqlite:///{file}")
    optuna.create_study(storage=plain, study_name="theirs")
    plain.engine.dispose()
    assert "optdet study create" in refused(file, create=False)
    storage = open_storage(file)
    assert optuna.get_all_study_names(storage) == ["theirs"]
    close_storage(storage)


def test_what_is_not_there_is_not_made_for_a_reader(file):
    assert f"there are no studies yet: no file {file}; create one with `optdet study create`" in refused(
        file, create=False
    )
    assert not file.parent.exists()
    file.parent.mkdir()
    file.touch()
    assert "there are no studies yet" in refused(file, create=False)


def test_a_newer_database_is_refused(file):
    make(file)
    with sqlite3.connect(file) as connection:
        connection.execute("INSERT INTO optdet_version VALUES (7, '9.1.0')")
    connection.close()
    for create in (True, False):
        line = refused(file, create=create)
        assert "made by optdet 9.1.0 (schema 7)" in line
        assert "upgrade optdet" in line


def test_a_schema_of_another_optuna_is_refused_in_optunas_words(file):
    make(file)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v3.0.0.a'")
    connection.close()
    assert "optuna storage upgrade" in refused(file)


def test_files_that_are_no_database(tmp_path):
    notes = tmp_path / "notes.db"
    notes.write_text("not a database, but long enough to look at")
    assert "not a SQLite database" in refused(notes)
    assert notes.read_text().startswith("not a database"), "and it is left alone"
    torn = tmp_path / "torn.db"
    torn.write_bytes(b"SQLite format 3\0" + b"\xff" * 4096)
    assert "not a SQLite database" in refused(torn)
    assert "a folder, not a database" in refused(tmp_path)


def test_folders_that_cannot_be_made(tmp_path):
    (tmp_path / "taken").write_text("")
    assert "the database cannot be opened" in refused(tmp_path / "taken" / "optdet.db")
    assert "the database cannot be opened" in refused("/proc/none/optdet.db")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://host/name", "studies cannot be kept in mysql"),
        ("nonsense://x", "studies cannot be kept in nonsense"),
        ("postgresql+nonsense://me:secret@host/name", "Can't load plugin"),
        ("postgresql://me:secret@host:port/name", "not a database URL"),
        ("sqlite:/x.db", "not a database URL"),
        ("sqlite://studies/x.db", "three slashes"),
        ("sqlite://", "need a database file"),
        ("sqlite:///:memory:", "need a database file"),
    ],
)
def test_urls_that_cannot_be_used(url, message):
    line = refused(url)
    assert message in line
    assert "secret" not in line


def test_a_missing_driver_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    line = refused("postgresql://me:secret@127.0.0.1/name")
    assert 'pip install "optdet[postgres]"' in line
    assert "secret" not in line


@pytest.mark.postgres
def test_a_refused_connection_is_one_line():
    pytest.importorskip("psycopg")
    assert "refused" in refused("postgresql://me@127.0.0.1:1/name")


def test_a_named_transaction_lets_one_worker_in_at_a_time(storage):
    inside, worst = 0, 0

    def enter() -> None:
        nonlocal inside, worst
        for _ in range(5):
            with write_transaction(storage.engine, "a name"):
                inside += 1
                worst = max(worst, inside)
                time.sleep(0.005)
                inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worst == 1


def test_opening_again_leaves_the_locks_of_this_process(tmp_path):
    """Else another process, as it closes, takes the file for its own and removes the log in use here."""
    path = tmp_path / "studies.db"
    storage = open_storage(str(path), create=True)
    with storage.engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1 FROM studies")
        connection.rollback()
        close_storage(open_storage(str(path)))
        visit = (
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); "
            "c.execute('SELECT * FROM studies').fetchall(); c.close()"
        )
        subprocess.run([sys.executable, "-c", visit, str(path)], check=True)
        assert path.with_name("studies.db-wal").exists()
    close_storage(storage)


def test_a_look_waits_for_no_writer(file):
    """And sees what was committed before it, not what the writer has in hand."""
    storage = open_storage(file)
    study = optuna.create_study(storage=storage, study_name="there")
    others = open_storage(file)
    with write_transaction(storage.engine, "a writer") as writer:
        writer.execute(text("UPDATE studies SET study_name = 'renamed'"))
        started = time.monotonic()
        with read_transaction(others.engine) as reader:
            assert reader.scalar(text("SELECT study_name FROM studies")) == study.study_name
        assert time.monotonic() - started < 30  # a writer would wait for a minute, and then fail
    with read_transaction(others.engine) as reader:
        assert reader.scalar(text("SELECT study_name FROM studies")) == "renamed"
