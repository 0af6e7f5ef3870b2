"""Another program that keeps the write lock of a SQLite file: the run waits, and loses nothing."""

from __future__ import annotations

import sqlite3
import time

import pytest

from optdet.store.engine import close_storage
from optdet.store.registry import load_inner_trials
from optdet.tuning import attributes as attr
from optdet.tuning.study import load_study, open_database


def table(folder):
    database = open_database(str(folder / "studies" / "optdet.db"))
    study = load_study(database, "tiny")
    rows = [
        (
            trial.number,
            trial.state.name,
            trial.params,
            trial.intermediate_values,
            trial.values,
            {name: value for name, value in trial.user_attrs.items() if name not in attr.TIMES},
            load_inner_trials(study.storage, study.uuid, trial.number),
        )
        for trial in study.study.get_trials()
    ]
    close_storage(database.storage)
    return rows


@pytest.mark.slow
def test_a_writer_that_holds_the_lock_for_twenty_seconds_loses_nothing(commands, new_study, finished):
    running = commands.start("study", "run", "tiny", cwd=new_study)
    deadline = time.monotonic() + 120
    while "epoch 1/3" not in (running.folder / "err").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    writer = sqlite3.connect(new_study / "studies" / "optdet.db", isolation_level=None, timeout=30)
    writer.execute("BEGIN IMMEDIATE")
    time.sleep(20)
    writer.execute("COMMIT")
    writer.close()
    ended = commands.wait(running)
    assert ended.code == 0, ended.err
    assert "the database is away" not in ended.err, "it waits inside the transaction"
    assert table(new_study) == table(finished.folder)
