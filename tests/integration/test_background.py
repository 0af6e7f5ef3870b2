"""Runs that no terminal waits for, as real processes: begun, followed, stopped, and ended with the tests."""

from __future__ import annotations

import json
import os
import pty
import signal
import sqlite3
import time
from pathlib import Path

import psutil
import pytest

from optdet.store.owners import process_started

pytestmark = pytest.mark.slow

LONG = "trials=400"


@pytest.fixture
def folder(tmp_path, commands, study_file):
    """A working directory with a study that takes long; whatever runs in it ends with the test."""
    (tmp_path / "tiny.yaml").write_text(study_file)
    assert commands.run("study", "create", "tiny.yaml", LONG, cwd=tmp_path).code == 0
    yield tmp_path
    for record in tmp_path.glob("studies/runs/*/logs/*/run.json"):
        owner = json.loads(record.read_text())["owner"]
        if process_started(owner["pid"]) == owner["started"]:
            family = [psutil.Process(owner["pid"])]
            family += family[0].children(recursive=True)
            for process in family:
                process.kill()


def wait_until(condition, what):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def records(folder):
    found = sorted(folder.glob("studies/runs/tiny/logs/*/run.json"))
    return [json.loads(path.read_text()) for path in found]


def states(folder):
    with sqlite3.connect(folder / "studies" / "optdet.db") as connection:
        return dict(
            connection.execute(
                "SELECT number, state FROM trials JOIN studies USING (study_id) WHERE study_name = 'tiny'"
            )
        )


def slots(folder):
    with sqlite3.connect(folder / "studies" / "optdet.db") as connection:
        return connection.execute("SELECT pid, trial_number FROM optdet_slots").fetchall()


def test_a_life_in_the_background(folder, commands):
    started = commands.run("study", "run", "--background", cwd=folder)
    assert started.code == 0, started.err
    (record,) = records(folder)
    pid = record["owner"]["pid"]
    (log,) = folder.glob("studies/runs/tiny/logs/*/output.log")
    assert started.out.splitlines() == [
        f"started tiny in the background: process {pid}, log {log}",
        "look: optdet study log tiny --follow   stop: optdet study stop tiny",
    ]
    assert "preparing images: 15 of 15" in started.err

    # Its own session, without a terminal; and a hang-up does it no harm.
    assert os.getsid(pid) == pid
    os.kill(pid, signal.SIGHUP)
    wait_until(lambda: "epoch 1/3" in log.read_text(), "an epoch")

    shown = commands.run("study", "show", cwd=folder)
    assert f"process {pid} on {record['owner']['host']} runs it in the background since 20" in shown.out
    assert f"  log {log}" in shown.out
    following = commands.start("study", "log", "--follow", "--lines", "1", cwd=folder)
    wait_until(lambda: "epoch" in (following.folder / "out").read_text(), "a line that is followed")
    os.kill(following.pid, signal.SIGINT)
    left = commands.wait(following)
    assert left.code == 130
    assert left.err.splitlines()[-1] == "the run goes on; stop it with: optdet study stop tiny"
    assert process_started(pid) == record["owner"]["started"]
    to_the_end = commands.start("study", "log", "tiny", "--follow", cwd=folder)

    stopped = commands.run("study", "stop", cwd=folder)
    assert stopped.code == 0, stopped.err
    first, second = stopped.out.splitlines()
    assert first == "stopped 1 run of tiny"
    (running,) = [number for number, state in states(folder).items() if state == "RUNNING"]
    assert second == f"trial {running} was given back; go on with: optdet study run tiny --background"
    assert slots(folder) == []
    assert process_started(pid) is None
    assert records(folder)[0]["ended"] is not None

    whole = commands.wait(to_the_end)
    assert whole.code == 0
    assert whole.out == log.read_text()
    last = whole.out.splitlines()[-1]
    assert last == "interrupted; go on with: optdet study run tiny --background"
    assert commands.run("study", "log", "--lines", "1", cwd=folder).out == f"{last}\n"
    nothing = commands.run("study", "stop", cwd=folder)
    assert (nothing.code, nothing.out) == (0, "no run of tiny works in the background on this host\n")


def test_what_fails_at_once_is_said_with_its_code(folder, commands):
    failed = commands.run("study", "run", "--background", "--device", "cuda:99", cwd=folder)
    assert failed.code == 1
    assert failed.out == ""
    *_, last = failed.err.splitlines()
    assert last.startswith("error: ")
    assert "cuda:99" in last
    assert last in commands.run("study", "log", cwd=folder).out


def test_what_ends_by_itself_is_followed_to_its_end(folder, commands):
    """With several workers, a total, and one more run beside them."""
    words = ("study", "run", "tiny", "--background", "--trials", "4")
    several = commands.run(*words, "--workers", "2", cwd=folder)
    assert several.code == 0, several.err
    beside = commands.run(*words, "--timeout", "8h", cwd=folder)
    assert beside.code == 0, beside.err
    pids = {record["owner"]["pid"] for record in records(folder)}
    assert len(pids) == 2
    for _ in pids:
        assert commands.run("study", "log", "tiny", "--follow", cwd=folder).code == 0
    wait_until(lambda: all(process_started(pid) is None for pid in pids), "both runs end")
    assert sorted(states(folder)) == [0, 1, 2, 3]
    logs = [path.read_text() for path in sorted(folder.glob("studies/runs/tiny/logs/*/output.log"))]
    assert "[2] trial" in logs[0]
    assert all("tiny is full: 4 of 4 trials" in text for text in logs)
    full = commands.run(*words, cwd=folder)
    assert (full.code, "tiny is full" in full.err) == (0, True)


def test_stopping_ends_the_workers_too(folder, commands):
    words = ("study", "run", "tiny", "--background", "--workers", "2")
    assert commands.run(*words, cwd=folder).code == 0
    (record,) = records(folder)
    workers = psutil.Process(record["owner"]["pid"]).children()
    wait_until(lambda: len(slots(folder)) == 2, "both workers have a trial")
    stopped = commands.run("study", "stop", cwd=folder)
    assert stopped.code == 0, stopped.err
    assert slots(folder) == []
    assert not any(worker.is_running() for worker in workers)


def test_a_terminal_that_is_closed_does_not_take_the_run_with_it(folder, environment):
    import sys

    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execve(
            sys.executable, [sys.executable, "-m", "optdet", "study", "run", "--background"], environment
        )
    said = b""
    while b"stop: optdet study stop" not in said:
        said += os.read(terminal, 4096)
    os.close(terminal)
    os.waitpid(pid, 0)
    (record,) = records(folder)
    log = Path(next(folder.glob("studies/runs/tiny/logs/*/output.log")))
    before = log.stat().st_size
    wait_until(lambda: log.stat().st_size > before, "it goes on")
    assert process_started(record["owner"]["pid"]) == record["owner"]["started"]
