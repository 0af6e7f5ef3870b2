"""The beat: it goes on while the database is busy or away, and says when the slot is another's."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from optdet.store import heartbeat as heartbeat_module
from optdet.store.engine import close_storage, open_storage
from optdet.store.heartbeat import Heartbeat
from optdet.store.leases import Leases, Slot


@pytest.fixture
def leases(storage, stored) -> Leases:
    return Leases(storage, stored.study_id, stored.uuid)


def eventually(condition: Callable[[], bool], timeout_s: float = 20.0) -> bool:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def beat_age_s(leases: Leases) -> float:
    (slot,) = leases.live()
    return slot.beat_age_s


def test_it_beats_at_once_and_again(leases):
    slot = leases.reserve(1)
    time.sleep(0.3)
    before = beat_age_s(leases)
    assert before >= 0.3
    with Heartbeat(leases, slot, beat_s=0.05) as beat:
        assert eventually(lambda: beat_age_s(leases) < 0.2)
        time.sleep(0.3)
        assert eventually(lambda: beat_age_s(leases) < 0.2)
        assert not beat.lost


def test_it_ends_with_its_block(leases):
    with Heartbeat(leases, leases.reserve(1), beat_s=60.0):
        names = [thread.name for thread in threading.enumerate()]
        assert any(name.startswith("beat of slot") for name in names)
    assert not any(thread.name.startswith("beat of slot") for thread in threading.enumerate())


def test_it_notices_a_take_over(leases, stored):
    there = Leases(
        leases.storage,
        stored.study_id,
        stored.uuid,
        owner=replace(leases.owner, host="elsewhere"),
        expiry_s=0.05,
    )
    slot = leases.bind(leases.reserve(1), stored.study.ask().number)
    time.sleep(0.1)
    taken = there.reserve(1)
    assert isinstance(taken, Slot)
    assert taken.taken_over
    with Heartbeat(leases, slot, beat_s=0.05) as beat:
        assert eventually(lambda: beat.lost)
    with Heartbeat(there, taken, beat_s=0.05) as other:
        time.sleep(0.2)
        assert not other.lost


@pytest.fixture
def own_database(tmp_path: Path):
    """A SQLite file that a test may treat badly: its path and the leases of a study in it."""
    storage = open_storage(tmp_path / "optdet.db")
    study_id = storage.create_new_study([], "study")
    storage.set_study_user_attr(study_id, "uuid", "study")
    yield tmp_path / "optdet.db", Leases(storage, study_id, "study")
    close_storage(storage)


def test_a_busy_database_loses_no_beat(own_database, monkeypatch, caplog):
    """Another connection holds the write lock for longer than one attempt waits."""
    file, leases = own_database
    monkeypatch.setattr(heartbeat_module, "BEAT_TIMEOUT_S", 0.3)
    monkeypatch.setattr(heartbeat_module, "RETRY_S", 0.1)
    slot = leases.reserve(1)
    with Heartbeat(leases, slot, beat_s=0.1) as beat:
        writer = sqlite3.connect(file, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        assert eventually(lambda: "no beat for slot" in caplog.text), "an attempt did fail"
        time.sleep(1.0)
        writer.execute("COMMIT")
        writer.close()
        released = time.time()
        assert eventually(lambda: time.time() - beat_age_s(leases) > released)
        assert not beat.lost
    assert caplog.text.count("no beat for slot") == 1, "one line an outage"


def test_it_survives_a_database_that_is_away(own_database, monkeypatch, caplog):
    file, leases = own_database
    monkeypatch.setattr(heartbeat_module, "RETRY_S", 0.05)
    slot = leases.reserve(1)
    close_storage(leases.storage)
    folder = file.parent
    with Heartbeat(leases, slot, beat_s=0.05) as beat:
        folder.rename(folder.with_name("away"))
        try:
            assert eventually(lambda: "no beat for slot" in caplog.text)
        finally:
            folder.with_name("away").rename(folder)
        back = time.time()
        assert eventually(lambda: time.time() - beat_age_s(leases) > back)
        assert not beat.lost
