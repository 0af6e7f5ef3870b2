"""Runs in the background as their records say them: told from other processes, stopped, cleaned away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from optdet.errors import OptdetError
from optdet.store.leases import Leases
from optdet.store.owners import Owner, process_started
from optdet.tuning import background
from optdet.tuning.background import BackgroundRun, new_folder, read_run, recorded, runs_of, stop_runs
from optdet.tuning.cleaning import OLD_LOGS, clean
from optdet.tuning.deletion import delete_study
from optdet.tuning.results import study_json
from optdet.tuning.study import load_study
from optdet.tuning.study_copy import copy_study
from optdet.tuning.study_creation import create_study


@pytest.fixture
def study(database, define):
    create_study(database, define("mine"))
    return load_study(database, "mine")


@pytest.fixture
def process():
    """One that sleeps, and ends with the test."""
    started = subprocess.Popen(["sleep", "60"])
    yield started
    started.kill()
    started.wait()


def owner_of(process, **changes):
    found = replace(Owner.current(), pid=process.pid, started=process_started(process.pid))
    return replace(found, **changes)


def record(study, owner, *, since=None, ended=None, uuid=None):
    """A run of this owner, as the run itself would have written it."""
    folder = new_folder(study.places, study.name)
    run = BackgroundRun(folder, uuid or study.uuid, owner, time.time() if since is None else since, ended)
    background._write(run)
    return run


DEAD = Owner("elsewhere", "boot", 1, 1.0)


def here(**changes):
    """A process of this host that ran before."""
    return replace(Owner.current(), pid=2**22 + 1, **changes)


def test_a_run_is_known_while_it_works_and_after(study):
    folder = new_folder(study.places, study.name)
    assert read_run(folder) is None
    before = signal.getsignal(signal.SIGHUP)  # ignored, where the tests themselves run under nohup
    with recorded(folder, study.uuid):
        (run,) = runs_of(study)
        assert (run.owner, run.ended, run.works, run.is_here) == (Owner.current(), None, True, True)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGHUP) is before
    (run,) = runs_of(study)
    assert run.ended >= run.since


def test_runs_come_oldest_first_and_those_of_an_earlier_study_of_the_name_not_at_all(study):
    second = record(study, here(), since=20.0)
    first = record(study, here(), since=10.0)
    record(study, here(), uuid="another")
    assert runs_of(study) == [first, second]
    assert len({run.folder for run in (first, second)}) == 2


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"owner": {"pid": 1}}', "\udcff"])
def test_a_damaged_record_is_no_run(study, text):
    folder = new_folder(study.places, study.name)
    (folder / "run.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert runs_of(study) == []


def test_a_number_that_another_process_has_now_is_left_alone(study, process):
    """Reused after the run was killed: SIGTERM would go to a stranger."""
    run = record(study, owner_of(process, started=process_started(process.pid) - 1.0))
    rebooted = record(study, owner_of(process, boot_id="before"))
    assert not run.works
    assert not rebooted.works
    assert stop_runs(study, [run, rebooted]) == []
    assert process.poll() is None


def test_stopping_asks_waits_and_says_which_trials_were_given_back(study, process):
    owner = owner_of(process)
    leases = Leases(study.storage, study.study_id, study.uuid, owner=owner)
    slot = leases.reserve(3)
    leases.bind(slot, study.study.ask().number)
    others = Leases(study.storage, study.study_id, study.uuid)  # a run in a terminal
    others.bind(others.reserve(3), study.study.ask().number)
    run = record(study, owner)
    assert stop_runs(study, [run]) == [0]
    assert process.wait(timeout=5) == -signal.SIGTERM
    assert not run.works


def test_one_that_does_not_end_is_said(study):
    stubborn = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"], stdout=-1
    )
    try:
        stubborn.stdout.readline()
        run = record(study, owner_of(stubborn))
        with pytest.raises(OptdetError, match=rf"process {stubborn.pid} did not end within 0.3 s.*kill -9"):
            stop_runs(study, [run], timeout_s=0.3)
    finally:
        stubborn.kill()
        stubborn.communicate()


def test_of_another_host_only_what_it_said_is_known(study):
    working = record(study, DEAD)
    ended = record(study, DEAD, ended=time.time())
    assert (working.is_here, working.works, ended.works) == (False, True, False)
    (shown,) = study_json(study)["background"]
    assert (shown["pid"], shown["host"], shown["is_here"]) == (1, "elsewhere", False)
    assert stop_runs(study, [replace(working, ended=1.0)]) == []


def test_show_has_those_that_work(study, process):
    record(study, here())
    run = record(study, owner_of(process), since=0.0)
    (shown,) = study_json(study)["background"]
    assert shown["pid"] == process.pid
    assert shown["log"] == str(run.log)
    assert json.dumps(shown)


def test_a_study_at_work_is_not_deleted_and_then_its_logs_go_too(study, process, database):
    record(study, owner_of(process))
    with pytest.raises(
        OptdetError, match=rf"run in the background by process {process.pid}.*study stop mine"
    ):
        delete_study(database, "mine")
    assert load_study(database, "mine").uuid == study.uuid  # not retired
    process.kill()
    process.wait()
    delete_study(database, "mine")
    assert not database.places.runs_of("mine").exists()


def test_cleaning_keeps_the_last_log_and_those_of_runs_at_work(study, process, database, define):
    create_study(database, define("other"))
    other = record(load_study(database, "other"), here())
    working = record(study, owner_of(process))
    old, last = record(study, here()), record(study, here())
    starting = new_folder(study.places, study.name)  # its process has not said yet who it is
    said = clean(database, dry_run=True)
    assert old.folder.exists()
    cleaned = clean(database)
    assert cleaned == said
    assert [(waste.what, waste.name) for waste in cleaned.waste] == [(OLD_LOGS, str(old.folder))]
    assert [run.folder.exists() for run in (other, working, last)] == [True] * 3
    assert starting.exists()


def test_cleaning_takes_the_logs_of_a_study_that_is_gone(study, database):
    logs = [record(study, here()).folder, new_folder(study.places, study.name)]
    for path in (logs[1], *logs[1].iterdir()):
        os.utime(path, (1.0, 1.0))
    optuna.delete_study(study_name="mine", storage=database.storage)
    cleaned = clean(database)
    assert [waste.name for waste in cleaned.waste if waste.what == OLD_LOGS] == list(map(str, logs))
    assert not database.places.runs_of("mine").exists()


def test_a_copy_has_no_logs(study, database):
    log = record(study, here())
    (study.places.run_dir("mine", 0)).mkdir(parents=True)
    copy_study(study, database, "copy")
    assert [path.name for path in database.places.runs_of("copy").iterdir()] == ["t0000"]
    assert log.log.exists()
    assert isinstance(log.folder, Path)
