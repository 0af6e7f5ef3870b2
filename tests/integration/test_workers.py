"""Several workers of one study, started by one command, on one SQLite file."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from optdet.store.engine import close_storage
from optdet.store.leases import Leases
from optdet.tuning import attributes as attr
from optdet.tuning.study import load_study, open_database

pytestmark = pytest.mark.slow  # each worker imports everything anew: seconds, and only then it works


def run(folder, *words, environment):
    """A run, in the background; what it says is in ``err``."""
    with (folder / "err").open("w") as err, (folder / "out").open("w") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "optdet", "study", "run", "tiny", *words],
            cwd=folder,
            env=environment,
            stdout=out,
            stderr=err,
        )


def states(folder):
    """The study's states by number, and the slots that are held."""
    database = open_database(str(folder / "studies" / "optdet.db"))
    study = load_study(database, "tiny")
    found = {trial.number: trial.state.name for trial in study.study.get_trials()}
    slots = Leases(study.storage, study.study_id, study.uuid).live()
    close_storage(database.storage)
    return found, slots


def wait_for(folder, words):
    deadline = time.monotonic() + 120
    while words not in (folder / "err").read_text():
        assert time.monotonic() < deadline, f"{words!r} was not said:\n{(folder / 'err').read_text()}"
        time.sleep(0.02)


def ends(process, folder):
    code = process.wait(timeout=240)
    return code, (folder / "err").read_text(), (folder / "out").read_text()


def test_two_workers_fill_a_study_though_one_is_killed(new_study, environment):
    starter = run(new_study, "--workers", "2", environment=environment)
    wait_for(new_study, "[2] trial")
    workers = psutil.Process(starter.pid).children()
    assert len(workers) == 2
    workers[0].kill()
    code, said, shown = ends(starter, new_study)
    assert code == 0, said
    assert ": 2 workers\n" in said
    assert "was ended by SIGKILL; starting it again, its trial goes on" in said
    assert "tiny is full: 4 of 4 trials" in shown
    found, slots = states(new_study)
    assert sorted(found) == [0, 1, 2, 3]
    assert set(found.values()) <= {"COMPLETE", "PRUNED"}
    assert slots == []


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_all_workers_within_ten_seconds(ending, new_study, environment):
    starter = run(new_study, "--workers", "2", environment=environment)
    wait_for(new_study, "epoch 1/3")
    asked = time.monotonic()
    starter.send_signal(ending)
    code, said, _ = ends(starter, new_study)
    assert time.monotonic() - asked < 10
    assert code == 130
    assert said.splitlines()[-1] == "interrupted; go on with: optdet study run tiny --workers 2"
    assert "Traceback" not in said
    assert states(new_study)[1] == []


def test_workers_leave_when_their_starter_is_killed(new_study, environment):
    starter = run(new_study, "--workers", "2", environment=environment)
    wait_for(new_study, "epoch 1/3")
    workers = psutil.Process(starter.pid).children()
    os.kill(starter.pid, signal.SIGKILL)
    starter.wait()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive
    assert states(new_study)[1] == []


def test_an_error_of_every_worker_is_told_once(new_study, environment):
    database = open_database(str(new_study / "studies" / "optdet.db"))
    study = load_study(database, "tiny")
    definition = study.study.user_attrs[attr.DEFINITION]
    definition["config"]["data"] = {"train": ["gone"], "val": "gone"}
    study.study.set_user_attr(attr.DEFINITION, definition)
    close_storage(database.storage)
    code, said, _ = ends(run(new_study, "--workers", "2", environment=environment), new_study)
    assert code == 1
    assert [line for line in said.splitlines() if line.startswith("error: ")] == [said.splitlines()[-1]]


def test_eight_workers_do_exactly_what_was_asked(new_study, environment):
    """``OPTDET_TEST_TRIALS`` trials; no one locked out, none twice, no slot left."""
    total = int(os.environ.get("OPTDET_TEST_TRIALS", "24"))
    code, said, _ = ends(
        run(new_study, "--workers", "8", "--trials", str(total), environment=environment), new_study
    )
    assert code == 0, said
    assert "locked" not in said
    found, slots = states(new_study)
    assert sorted(found) == list(range(total))
    assert set(found.values()) <= {"COMPLETE", "PRUNED"}
    assert slots == []
    told = Counter(
        line.split("] ")[1].split(" (")[0].rsplit(" ", 1)[0]
        for line in said.splitlines()
        if " complete " in line or " pruned " in line
    )
    assert len(told) == total
    assert set(told.values()) == {1}
    with sqlite3.connect(new_study / "studies" / "optdet.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert not list(Path(new_study / "studies").rglob("*.tmp"))
