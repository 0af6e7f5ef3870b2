"""A backup taken while a study runs, brought back after the database was lost."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time

import pytest

RUN = ("study", "run", "tiny")
SAFE = ("--storage", "studies/safe.db")


def wait_for(path, words):
    deadline = time.monotonic() + 120
    while words not in path.read_text():
        assert time.monotonic() < deadline, f"{words!r} was not said"
        time.sleep(0.01)


def trials(commands, folder, *storage):
    shown = commands.run("study", "show", "tiny", "--json", *storage, cwd=folder)
    assert shown.code == 0, shown.err
    return json.loads(shown.out)["trials"]


def lose_database(folder):
    for name in ("optdet.db", "optdet.db-wal", "optdet.db-shm"):
        (folder / "studies" / name).unlink(missing_ok=True)


def check_goes_on(commands, folder, finished):
    """From the backup, to the end of a study that lost nothing."""
    ended = commands.run(*RUN, *SAFE, cwd=folder)
    assert ended.code == 0, ended.err
    times = {"seconds", "images_per_s", "peak_memory_gb"}
    ours, theirs = (
        [{key: value for key, value in trial.items() if key not in times} for trial in rows]
        for rows in (trials(commands, folder, *SAFE), trials(commands, finished.folder))
    )
    assert ours == theirs
    with sqlite3.connect(folder / "studies" / "safe.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return ended


@pytest.mark.slow
def test_a_backup_of_a_study_at_work(commands, new_study, finished):
    running = commands.start(*RUN, cwd=new_study)
    wait_for(running.folder / "err", "trial 1 epoch 1/3")
    backup = commands.run("study", "backup", "studies/safe.db", cwd=new_study)
    assert backup.code == 0, backup.err
    again = commands.run("study", "backup", "studies/safe.db", cwd=new_study)
    assert again.err.startswith("error: studies/safe.db: the file exists")
    os.kill(running.pid, signal.SIGKILL)
    assert commands.wait(running).code == -signal.SIGKILL
    lose_database(new_study)
    saved = trials(commands, new_study, *SAFE)
    assert saved[0]["state"] == "complete"
    assert len(saved) > 1
    check_goes_on(commands, new_study, finished)


@pytest.mark.slow
def test_epochs_that_the_backup_does_not_know_are_told_to_it(commands, new_study, finished, moment):
    """The checkpoints beside it are ahead by three epochs, of which none was reported to it."""
    report = "optuna.trial:Trial.report"
    assert commands.run(*RUN, cwd=new_study, kill=moment(report, 1)).code == -signal.SIGKILL
    assert commands.run("study", "backup", "studies/safe.db", cwd=new_study).code == 0
    assert commands.run(*RUN, cwd=new_study, kill=moment(report, 3)).code == -signal.SIGKILL
    lose_database(new_study)
    (saved,) = trials(commands, new_study, *SAFE)
    assert (saved["state"], saved["epochs"]) == ("running", 0)
    ended = check_goes_on(commands, new_study, finished)
    assert "trial 0: going on after epoch 3 of 3" in ended.err
    ours, theirs = (reports(new_study / "studies/safe.db"), reports(finished.folder / "studies/optdet.db"))
    assert ours == theirs


def reports(file):
    with sqlite3.connect(file) as connection:
        return connection.execute(
            "SELECT number, step, intermediate_value FROM trial_intermediate_values"
            " JOIN trials USING (trial_id) JOIN studies USING (study_id)"
            " WHERE study_name = 'tiny' ORDER BY number, step"
        ).fetchall()


def test_a_backup_elsewhere_is_used_with_the_root(commands, finished, tmp_path):
    """Nothing is run: what the backup names is found in the folder of the original."""
    made = commands.run("study", "backup", tmp_path / "safe.db", cwd=finished.folder)
    assert made.code == 0, made.err
    places = ("--storage", tmp_path / "safe.db", "--root", finished.folder / "studies")
    best = commands.run("study", "best", "--json", *places, cwd=tmp_path)
    assert best.code == 0, best.err
    assert os.path.samefile(
        json.loads(best.out)["checkpoint"],
        json.loads(commands.run("study", "best", "--json", cwd=finished.folder).out)["checkpoint"],
    )
