"""Studies on a real PostgreSQL server: workers that share one, a worker that is killed, a server that dies.

The server is killed as by a power cut, at named moments of a run: between two transactions, before a commit
(all of it is undone) and after one whose answer is lost (all of it is done). One worker's study must end as
on SQLite without any outage, value for value.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from killing import contents

from optdet.store.engine import close_storage
from optdet.tuning.study import load_study, open_database

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(900)]  # a server comes back in its own time

RDB = "optuna.storages:RDBStorage."
WRITES = {
    "reserve": ("optdet.store.leases:Leases.reserve", 1),
    "take the queued trial": (RDB + "set_trial_state_values", 1),
    "bind": ("optdet.store.leases:Leases.bind", 1),
    "suggest": (RDB + "_set_trial_param", 2),
    "start attributes": ("optdet.tuning.trial_attributes:set_user_attributes", 1),
    "checkpoint": ("optdet.tuning.trial_training:record_checkpoint", 1),
    "report": (RDB + "set_trial_intermediate_value", 2),
    "progress": ("optdet.store.leases:Leases.progress", 2),
    "inner trials": ("optdet.tuning.objective:save_inner_trials", 1),
    "artifacts": ("optdet.tuning.attachments:set_system_attributes", 1),
    "end attributes": ("optdet.tuning.trial_attributes:set_user_attributes", 3),
    "inner study": (RDB + "create_new_study", 1),
    "inner study's trials": ("optdet.store.finished_trials:_add", 1),
    "ask": (RDB + "_create_new_trial", 1),
    "release": ("optdet.tuning.worker:Worker._told", 3, True),
}
"""Kinds of write that a worker does, about in a run's order: a function and which of its calls writes
first thing, or (True) returns right before the write."""


@pytest.fixture
def pg(tmp_path, commands, postgres_url, study_file):
    return Study(tmp_path, commands, postgres_url, study_file)


class Study:
    """The tiny study on PostgreSQL, its files in a folder that workers share."""

    def __init__(self, folder, commands, url, study_file):
        self.folder, self.commands, self.url = folder, commands, url
        (folder / "tiny.yaml").write_text(study_file)
        self.where = ("--storage", url, "--root", folder / "shared")
        created = commands.run("study", "create", "tiny.yaml", *self.where, cwd=folder)
        assert created.code == 0, created.err

    def start(self, moments=()):
        return self.commands.start("study", "run", "tiny", *self.where, cwd=self.folder, kill=moments)

    def finish(self, running):
        ended = self.commands.wait(running)
        assert ended.code == 0, ended.err
        assert "Traceback" not in ended.err
        return ended

    def contents(self):
        return contents(self.folder / "shared", self.url)


@pytest.fixture(scope="session")
def on_sqlite(finished):
    assert finished.ran.returncode == 0, finished.ran.stderr
    return contents(finished.folder / "studies")


@pytest.fixture
def stoppable(postgres):
    if postgres.folder is None:
        pytest.skip("this server is not ours to stop")
    return postgres


@pytest.mark.parametrize(
    "commit", ["after", *(pytest.param(other, marks=pytest.mark.slow) for other in ("before", None))]
)
def test_a_server_that_dies_at_every_kind_of_write_changes_nothing(pg, stoppable, on_sqlite, moment, commit):
    repeated = commit != "after"  # what was undone is done by a second call
    writes = WRITES | {"tell": (RDB + "set_trial_state_values", 2 + repeated)}
    outages = [
        moment(at, call, *after, shell=stoppable.bounce(0.5), commit=commit)
        for at, call, *after in writes.values()
    ]
    said = pg.finish(pg.start(outages)).err
    missed = [name for name, (at, call, *_) in writes.items() if f" of {at} {call}\n" not in said]
    assert missed == [], said
    assert said.count("the database is away: ") == said.count("the database is back") > 0
    assert pg.contents() == on_sqlite


def test_one_of_two_workers_and_then_the_server_are_killed(pg, stoppable):
    """Every trial is finished once, and none too many."""
    first, second = pg.start(), pg.start()
    wait_for(second.folder / "err", "epoch 1/3")
    os.kill(first.pid, signal.SIGKILL)
    assert pg.commands.wait(first).code == -signal.SIGKILL
    third = pg.start()
    wait_for(third.folder / "err", "epoch 1/3")
    stoppable.stop()
    time.sleep(2)
    stoppable.start()
    pg.finish(second)
    pg.finish(third)
    rows = pg.contents()["trials"]
    assert [row["number"] for row in rows] == [0, 1, 2, 3]
    assert {row["state"] for row in rows} <= {"COMPLETE", "PRUNED"}
    assert all(row["inner"] for row in rows if row["state"] == "COMPLETE")


def test_a_worker_gives_up_in_one_line_or_is_interrupted_while_it_waits(pg, stoppable):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "optdet", "study", "run", "tiny", *map(str, pg.where)]
    runs = [
        subprocess.Popen(
            command,
            cwd=pg.folder,
            env=environment | extra,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        for extra in ({"OPTDET_DATABASE_WAIT": "3s"}, {})
    ]
    for run in runs:
        while "trial" not in (line := run.stderr.readline()):
            assert line
    stoppable.stop()
    hasty, patient = runs
    try:
        *_, last = hasty.communicate(timeout=100)[1].splitlines()
        assert hasty.returncode == 1
        assert last.startswith(f"error: {pg.url}: the database is away: ")
        while "trying on for 600 s" not in (line := patient.stderr.readline()):
            assert line
        patient.send_signal(signal.SIGINT)
        said = patient.communicate(timeout=100)[1]
        assert patient.returncode == 130
        assert said.splitlines()[-1].startswith("interrupted; go on with: optdet study run tiny")
    finally:
        for run in runs:
            run.kill()
            run.communicate()
        stoppable.start()


def test_workers_of_two_machines_create_a_study_once(pg):
    """Their roots are apart, so nothing but the database can keep them apart; it has one queued trial."""
    create = ("study", "create", "tiny.yaml", "--name", "both", "--storage", pg.url, "--root")
    both = [pg.commands.start(*create, pg.folder / root, cwd=pg.folder) for root in ("a", "b")]
    ended = [pg.commands.wait(running) for running in both]
    assert [done.code for done in ended] == [0, 0], ended
    assert sorted(done.out.partition(":")[0] for done in ended) == ["created", "exists"]
    database = open_database(pg.url, str(pg.folder / "a"))
    assert len(load_study(database, "both").study.trials) == 1
    close_storage(database.storage)


def test_a_study_moves_to_a_server_and_back_and_ends_as_it_would_have(
    new_study, commands, on_sqlite, moment, postgres_url
):
    """Cut off in the middle of a trial, copied (the copy is killed, too), run there, copied back, run."""
    killed = commands.run("study", "run", "tiny", cwd=new_study, kill=moment("optuna.trial:Trial.report", 2))
    assert killed.code == -signal.SIGKILL
    there = ("--storage", postgres_url, "--root", "shared")
    copy = ("study", "copy", "tiny", "--to", postgres_url, "--root", "shared")
    killed = commands.run(*copy, cwd=new_study, kill=moment("os:rename"))
    assert killed.code == -signal.SIGKILL
    copied = commands.run(*copy, cwd=new_study)
    assert copied.code == 0, copied.err
    assert copied.out.startswith("copied: study tiny, 1 trials, 0 inner studies, to postgresql")
    ran = commands.run("study", "run", "tiny", *there, "--trials", 2, cwd=new_study)
    assert ran.code == 0, ran.err
    assert "trial 0 epoch 1/3: " not in ran.err, "it goes on from the checkpoint that was copied"
    back = ("study", "copy", "tiny", *there[:2], "--from-root", "shared", "--to", "back/optdet.db")
    copied = commands.run(*back, cwd=new_study)
    assert copied.code == 0, copied.err
    ran = commands.run("study", "run", "tiny", "--storage", "back/optdet.db", cwd=new_study)
    assert ran.code == 0, ran.err
    copied = contents(new_study / "back")
    for part in on_sqlite.keys() - {"files"}:  # maps are made again where they are wanted
        assert copied[part] == on_sqlite[part]


def wait_for(path, words):
    deadline = time.monotonic() + 120
    while words not in path.read_text():
        assert time.monotonic() < deadline, f"{words!r} was not said"
        time.sleep(0.05)
