"""A backup is the database at one moment, whole, however busy it is."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import optuna
import pytest

from optdet.errors import OptdetError
from optdet.store import backup
from optdet.store.backup import backup_database
from optdet.store.engine import close_storage, open_storage, private_engine


@pytest.fixture
def storage(tmp_path):
    opened = open_storage(tmp_path / "studies" / "optdet.db")
    optuna.create_study(storage=opened, study_name="a")
    yield opened
    close_storage(opened)


def n_rows(path, table="pairs"):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT COUNT(*), SUM(value) FROM {table}").fetchone()


def test_a_backup_is_one_file_with_everything(storage, tmp_path):
    assert (tmp_path / "studies/optdet.db-wal").stat().st_size > 0  # what is not in the file itself
    out = tmp_path / "elsewhere" / "copy.db"
    assert backup_database(storage, out) == out
    assert [path.name for path in out.parent.iterdir()] == ["copy.db"]
    assert out.read_bytes()[18:20] == b"\1\1"  # no write-ahead log: readable where nothing may be written
    copied = open_storage(out, create=False)
    assert optuna.get_all_study_names(copied) == ["a"]
    optuna.create_study(storage=copied, study_name="b")
    close_storage(copied)
    assert optuna.get_all_study_names(storage) == ["a"]


def test_without_a_name_it_lies_beside_the_database(storage):
    out = backup_database(storage)
    assert out.parent.name == "studies"
    assert out.match("optdet-????????-??????.db")


WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
n = 0
while True:
    n += 1
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO pairs VALUES (?, 1, ?)", (n, "x" * 4000))
    connection.execute("INSERT INTO pairs VALUES (?, -1, ?)", (n, "x" * 4000))
    connection.execute("COMMIT")
    if n == 100:
        print("writing", flush=True)
"""


def test_workers_write_on_and_no_transaction_is_copied_in_half(storage, tmp_path, monkeypatch):
    """Many small steps, between which another process commits: it never waits for the copy."""
    file = tmp_path / "studies" / "optdet.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE pairs (number INTEGER, value INTEGER, filler TEXT)")
        connection.executemany("INSERT INTO pairs VALUES (0, 0, ?)", [("x" * 4000,)] * 2000)
    monkeypatch.setattr(backup, "_PAGES_A_STEP", 5)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True)
    try:
        writer.stdout.readline()
        before, _ = n_rows(file)
        out = backup_database(storage, tmp_path / "copy.db")
        after, _ = n_rows(file)
    finally:
        writer.kill()
        writer.communicate()
    copied, balance = n_rows(out)
    assert balance == 0
    assert before <= copied < after
    assert after - before > 20


def test_an_existing_file_is_replaced_by_force_alone(storage, tmp_path):
    out = tmp_path / "copy.db"
    out.write_bytes(b"mine")
    with pytest.raises(OptdetError, match="the file exists; give another name, or --force"):
        backup_database(storage, out)
    assert out.read_bytes() == b"mine"
    backup_database(storage, out, force=True)
    assert optuna.get_all_study_names(open_storage(out, create=False)) == ["a"]


def test_a_database_in_use_is_not_replaced(storage, tmp_path):
    other = open_storage(tmp_path / "other.db")
    optuna.create_study(storage=other, study_name="other")
    with pytest.raises(OptdetError, match="a database in use"):
        backup_database(storage, tmp_path / "other.db", force=True)
    assert optuna.get_all_study_names(other) == ["other"]
    close_storage(other)
    for name in ("optdet.db", "../studies/optdet.db"):
        with pytest.raises(OptdetError, match="the database itself"):
            backup_database(storage, tmp_path / "studies" / name, force=True)
    with pytest.raises(OptdetError, match="a folder, not a file"):
        backup_database(storage, tmp_path, force=True)


def test_a_copy_that_is_not_sound_is_not_kept(storage, tmp_path):
    """A page of an index is overwritten: reading the tables would not notice."""
    out, file = tmp_path / "copy.db", tmp_path / "studies" / "optdet.db"
    close_storage(storage)
    with closing(sqlite3.connect(file)) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'ix_studies_study_name'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with file.open("r+b") as opened:
        opened.seek((page - 1) * size)
        opened.write(bytes([10, 0, 0, 0, 0]))  # an empty leaf of an index
    with pytest.raises(OptdetError, match=r"the copy is not sound: .* page"):
        backup_database(storage, out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["studies"]


def test_a_full_disk_leaves_nothing(storage, tmp_path, small_disk):
    with pytest.raises(OptdetError, match=r"full|cannot be written"), small_disk(20_000):
        backup_database(storage, tmp_path / "copy.db")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["studies"]


def test_an_interrupt_leaves_nothing(storage, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(backup, "_copy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        backup_database(storage, tmp_path / "copy.db")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["studies"]


def test_a_backup_waits_for_a_writer_that_holds_the_lock(storage, tmp_path):
    """Readers of a write-ahead log do not: it is there at once."""
    engine = private_engine(storage, busy_timeout_s=5)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE studies SET study_name = 'changed'")
        started = time.monotonic()
        out = backup_database(storage, tmp_path / "copy.db")
        assert time.monotonic() - started < 10
    assert optuna.get_all_study_names(open_storage(out, create=False)) == ["a"]


def test_postgres_is_backed_up_by_its_own_program():
    class Server:
        class engine:
            from sqlalchemy import make_url

            url = make_url("postgresql+psycopg://me:secret@host:5433/studies")

    with pytest.raises(OptdetError) as refused:
        backup_database(Server)
    line = str(refused.value)
    assert "pg_dump --format=custom --file=studies.dump 'postgresql://me:***@host:5433/studies'" in line
    assert "secret" not in line
    assert len(line.splitlines()) == 1
