"""A backup taken while a study runs, brought back after the database was lost."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time

RUN = ("study", "run", "tiny")


def wait_for(path, words):
    deadline = time.monotonic() + 120
    while words not in path.read_text():
        assert time.monotonic() < deadline, f"{words!r} was not said"
        time.sleep(0.01)


def trials(commands, folder, *storage):
    shown = commands.run("study", "show", "tiny", "--json", *storage, cwd=folder)
    assert shown.code == 0, shown.err
    return json.loads(shown.out)["trials"]


def test_a_study_goes_on_from_a_backup_and_ends_as_if_nothing_was_lost(commands, new_study, finished):
    """The files beside it are ahead of it by some epochs."""
    running = commands.start(*RUN, cwd=new_study)
    wait_for(running.folder / "err", "trial 1 epoch 1/3")
    backup = commands.run("study", "backup", "studies/safe.db", cwd=new_study)
    assert backup.code == 0, backup.err
    wait_for(running.folder / "err", "trial 1 epoch 2/3")
    assert commands.run("study", "backup", "studies/safe.db", cwd=new_study).err.startswith(
        "error: studies/safe.db: the file exists"
    )
    os.kill(running.pid, signal.SIGKILL)
    assert commands.wait(running).code == -signal.SIGKILL
    for name in ("optdet.db", "optdet.db-wal", "optdet.db-shm"):
        (new_study / "studies" / name).unlink(missing_ok=True)
    storage = ("--storage", "studies/safe.db")
    saved = trials(commands, new_study, *storage)
    assert [trial["state"] for trial in saved] == ["complete", "running"]
    assert saved[1]["epochs"] <= 2
    ended = commands.run(*RUN, *storage, cwd=new_study)
    assert ended.code == 0, ended.err
    assert "trial 1 goes on" in ended.err
    times = {"seconds", "images_per_s"}
    ours, theirs = (
        [{key: value for key, value in trial.items() if key not in times} for trial in rows]
        for rows in (trials(commands, new_study, *storage), trials(commands, finished.folder))
    )
    assert ours == theirs
    with sqlite3.connect(new_study / "studies" / "safe.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


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
