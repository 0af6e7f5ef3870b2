"""A study that is killed over and over, anywhere and in every way, ends as one that never was.

``OPTDET_TEST_KILLS`` says how often (12), ``OPTDET_TEST_SEED`` which dice (0).
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections import Counter

import pytest
from killing import MOMENTS, contents, tracebacks

N_KILLS = int(os.environ.get("OPTDET_TEST_KILLS", "12"))
SEED = int(os.environ.get("OPTDET_TEST_SEED", "0"))
N_TRIALS = max(4, 2 * N_KILLS // 3)
LEAVE_S = 10.0
"""Within it a worker that is asked to end has saved, and given its trial back."""

CREATION = {
    "before anything": ("optdet.tuning.study_creation:_complete", 1),
    "half defined": ("optuna.study:Study.set_user_attr", 2),
    "before the queue": ("optuna.study:Study.enqueue_trial", 1),
    "in the queue": ("optuna.study:Study.enqueue_trial", 1, True),
    "before it is ready": ("optdet.tuning.notes:write_study_note", 1, True),
}

pytestmark = pytest.mark.timeout(3600)


def create(folder, commands, study_file, *where, moments=()):
    # An inner study of every trial: those of the best get rare, and a worker that is to die in one would
    # go through a third of the trials.
    study = study_file.replace("trials: 4", f"trials: {N_TRIALS}")
    study = study.replace("inner_studies: 1", "inner_studies: 999")
    (folder / "tiny.yaml").write_text(study)
    for moment in moments:
        assert commands.run("study", "create", "tiny.yaml", *where, cwd=folder, kill=moment).code < 0
    assert commands.run("study", "create", "tiny.yaml", *where, cwd=folder).code == 0


def run_to_the_end(folder, commands, *where):
    ended = commands.run("study", "run", "tiny", *where, cwd=folder)
    assert ended.code == 0, ended.err


@pytest.fixture(scope="module")
def unharmed(tmp_path_factory, commands, study_file):
    folder = tmp_path_factory.mktemp("unharmed")
    create(folder, commands, study_file)
    run_to_the_end(folder, commands)
    return contents(folder / "studies")


def kill_over_and_over(folder, commands, moment, *where):
    """How often each way of ending was met, until the study is full or was killed often enough."""
    dice = random.Random(SEED)
    met = Counter()
    while met.total() < N_KILLS:
        ending = dice.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        if dice.random() < 0.5:
            name = dice.choice(sorted(MOMENTS))
            at = moment(*MOMENTS[name], ending=ending)
            ended = commands.run("study", "run", "tiny", *where, cwd=folder, kill=at)
        else:
            name = "at random"
            running = commands.start("study", "run", "tiny", *where, cwd=folder)
            time.sleep(dice.uniform(0.05, 3.0))
            asked = time.monotonic()
            os.kill(running.pid, ending)
            ended = commands.wait(running)
            assert time.monotonic() - asked < LEAVE_S
        if ended.code == 0:
            break
        assert ended.code in (-ending, 130), f"{name}, {ending.name}:\n{ended.err}"
        assert "Traceback" not in ended.err
        met[ending.name] += 1
    return met


def check(root, unharmed, storage=None):
    assert tracebacks(root) == {}
    killed = contents(root, storage)
    assert [trial["number"] for trial in killed["trials"]] == list(range(N_TRIALS))
    for ours, theirs in zip(killed["trials"], unharmed["trials"], strict=True):
        assert ours == theirs
    assert killed == unharmed
    assert killed["slots"] == []


@pytest.mark.slow
def test_a_study_killed_over_and_over_on_sqlite(tmp_path, commands, study_file, moment, unharmed):
    create(tmp_path, commands, study_file, moments=[moment(*at) for at in CREATION.values()])
    met = kill_over_and_over(tmp_path, commands, moment)
    print(f"{met.total()} kills: {dict(met)}; {N_TRIALS} trials")
    assert met.total() >= 0.8 * N_KILLS  # the study was not full long before
    run_to_the_end(tmp_path, commands)
    check(tmp_path / "studies", unharmed)
    with sqlite3.connect(tmp_path / "studies" / "optdet.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.postgres
def test_a_study_killed_over_and_over_on_postgres(
    tmp_path, commands, study_file, moment, postgres_url, unharmed
):
    root = tmp_path / "shared"
    where = ("--storage", postgres_url, "--root", root)
    create(tmp_path, commands, study_file, *where, moments=[moment(*at) for at in CREATION.values()])
    met = kill_over_and_over(tmp_path, commands, moment, *where)
    print(f"{met.total()} kills: {dict(met)}; {N_TRIALS} trials")
    assert met.total() >= 0.8 * N_KILLS
    run_to_the_end(tmp_path, commands, *where)
    check(root, unharmed, postgres_url)
