"""Telling a living worker from a dead one, and from another that got its number."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from optdet.store import owners
from optdet.store.owners import Owner, process_started


@pytest.fixture
def sleeper():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def alive(owner: Owner, here: Owner, beat_age_s: float = 0.0) -> bool:
    return owner.is_alive(here=here, beat_age_s=beat_age_s, expiry_s=60.0)


@pytest.fixture(params=["proc", "psutil"])
def source(request, monkeypatch, tmp_path: Path) -> None:
    if request.param == "psutil":
        monkeypatch.setattr(owners, "_PROC", tmp_path)


@pytest.mark.usefixtures("source")
def test_this_process_is_alive_and_always_the_same():
    me = Owner.current()
    assert me == Owner.current()
    assert me.pid == os.getpid()
    assert alive(me, me, beat_age_s=1e9), "on this host the process is looked up, whatever its beat"


@pytest.mark.usefixtures("source")
def test_a_killed_process_is_dead_even_before_it_is_collected(sleeper):
    started = process_started(sleeper.pid)
    assert started is not None
    sleeper.kill()
    while psutil.Process(sleeper.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.001)
    assert process_started(sleeper.pid) is None
    sleeper.wait()
    assert process_started(sleeper.pid) is None


@pytest.mark.usefixtures("source")
def test_a_number_that_was_given_again_is_another_process(sleeper):
    me = Owner.current()
    reused = replace(me, pid=sleeper.pid)
    assert not alive(reused, me)
    assert alive(replace(reused, started=process_started(sleeper.pid)), me)


def test_a_start_time_does_not_move_when_the_clock_is_set(monkeypatch):
    before = process_started(os.getpid())
    monkeypatch.setattr(psutil, "boot_time", lambda: 0.0)
    assert process_started(os.getpid()) == before
    assert before < time.clock_gettime(time.CLOCK_BOOTTIME)


def test_before_the_last_boot_everybody_is_dead():
    me = Owner.current()
    assert not alive(replace(me, boot_id="another"), me)


def test_another_host_is_judged_by_its_beat():
    me = Owner.current()
    there = replace(me, host="elsewhere", pid=1, started=0.0)
    assert alive(there, me, beat_age_s=60.0)
    assert not alive(there, me, beat_age_s=60.1)


def test_a_container_is_a_host_of_its_own(monkeypatch):
    monkeypatch.setattr(os, "readlink", lambda path: "pid:[4026531836]")
    outside = Owner.current().host
    monkeypatch.setattr(os, "readlink", lambda path: "pid:[4026532777]")
    assert Owner.current().host == f"{outside}/4026532777"


def test_a_program_name_with_anything_in_it(tmp_path):
    program = tmp_path / "a) S (b"
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(program), "60"])
    try:
        assert process_started(process.pid) == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=30)
    finally:
        process.kill()
        process.wait()
