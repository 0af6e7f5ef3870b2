"""A clock that is set while a study is in work: it ends as one whose clock was right."""

from __future__ import annotations

import os
import signal
import time

import pytest
from killing import MOMENTS, contents

pytestmark = pytest.mark.slow

RUN = ("study", "run", "tiny")
HOUR_S, DAY_S = 3600.0, 86400.0


@pytest.fixture
def new_study(tmp_path, commands, study_file):
    """A working directory with the study created in it."""

    def made(name):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "tiny.yaml").write_text(study_file)
        assert commands.run("study", "create", "tiny.yaml", cwd=folder).code == 0
        return folder

    return made


def undisturbed(commands, new_study, n_trials):
    folder = new_study("undisturbed")
    assert commands.run(*RUN, "--trials", n_trials, cwd=folder).code == 0
    return contents(folder / "studies")


def test_a_study_goes_on_after_its_clock_was_set_back(commands, new_study, moment):
    """By a day, twice: what the killed processes left in the database and on disk lies in the future."""
    folder = new_study("here")
    for name, clock_s in (("after tell", 2 * DAY_S), ("in training", DAY_S)):
        killed = commands.run(*RUN, cwd=folder, kill=moment(*MOMENTS[name]), clock_s=clock_s)
        assert killed.code == -signal.SIGKILL, killed.err
        for path in (folder / "studies").rglob("*"):
            os.utime(path, (time.time() + clock_s,) * 2)
    ended = commands.run(*RUN, "--trials", 2, cwd=folder)
    assert ended.code == 0, ended.err
    assert contents(folder / "studies") == undisturbed(commands, new_study, 2)
    assert "removed 0.0 MB" in commands.run("study", "clean", cwd=folder).out


def test_a_clock_that_goes_forward_leaves_a_trial_to_exactly_one_worker(commands, new_study, moment):
    """To a worker elsewhere, whose clock is an hour ahead, this one seems dead while it validates an epoch.
    It wakes when the other has finished the trial, and changes nothing."""
    folder = new_study("here")
    asleep, awake = folder / "asleep", folder / "awake"
    pause = f"touch {asleep}; while [ ! -e {awake} ]; do sleep 0.1; done"
    slow = commands.start(
        *RUN, "--trials", 1, cwd=folder, kill=moment("optdet.training.fit:epoch_score", 1, shell=pause)
    )
    deadline = time.monotonic() + 60
    while not asleep.exists():
        assert time.monotonic() < deadline, (slow.folder / "err").read_text()
        time.sleep(0.05)
    hasty = commands.run(*RUN, "--trials", 1, cwd=folder, clock_s=HOUR_S, host="elsewhere")
    assert hasty.code == 0, hasty.err
    assert "trial 0 complete" in hasty.err
    awake.touch()
    overtaken = commands.wait(slow)
    assert overtaken.code == 0, overtaken.err
    assert "this trial was taken over by another worker" in overtaken.err
    assert "complete 0." not in overtaken.err
    assert contents(folder / "studies") == undisturbed(commands, new_study, 1)
