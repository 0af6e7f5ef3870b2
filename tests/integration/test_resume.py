"""SIGKILL at any moment, then the same command again: the study ends as one that was never killed.

With one worker on the CPU everything but times must be equal, to the last bit of every checkpoint.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from killing import MOMENTS, check_sound, contents

RUN = ("study", "run", "tiny")

OFTEN = (
    "in training",
    "while a checkpoint is written",
    "between checkpoint and report",
    "in the inner loop",
    "in the artifacts",
    "after tell",
    "between ask and bind",
)


def test_the_comparison_compares_something(never_killed):
    trials = never_killed["trials"]
    assert {trial["state"] for trial in trials} == {"COMPLETE", "PRUNED"}
    assert any(score > 0 for trial in trials for score in trial["reports"].values())
    assert all(trial["values"][0] > 0 for trial in trials if trial["state"] == "COMPLETE")
    assert len(never_killed["trials"][0]["inner"]) > 50
    assert len(never_killed["inner studies"]) >= 1
    kinds = {Path(name).suffix for name in never_killed["files"]}
    assert {".pt", ".png", ".jpg", ".csv", ".npy"} <= kinds


def kill_at(names, commands, folder, moment):
    """Runs that end there, one after the other; what each of them said."""
    said = {}
    for name in names:
        killed = commands.run(*RUN, cwd=folder, kill=moment(*MOMENTS[name]))
        assert killed.code == -signal.SIGKILL, f"was not killed {name}:\n{killed.err}"
        said[name] = killed.err
    return said


def finish(commands, folder):
    ended = commands.run(*RUN, cwd=folder)
    assert ended.code == 0, ended.err
    return ended


@pytest.mark.slow
def test_kills_at_named_moments(commands, new_study, never_killed, moment):
    said = kill_at(OFTEN, commands, new_study, moment)
    assert "going on after epoch 2 of 3" in said["in the inner loop"]  # and not from the start
    assert "trial 0 epoch 1/3: " not in said["in the artifacts"]
    finish(commands, new_study)
    check_sound(new_study, never_killed)


@pytest.mark.slow
@pytest.mark.parametrize("name", MOMENTS)
def test_a_kill_in_each_of_the_first_two_trials(name, commands, new_study, never_killed, moment):
    """Twice at the same place: the second kill hits the trial that goes on, or the one after it."""
    kill_at([name, name], commands, new_study, moment)
    finish(commands, new_study)
    check_sound(new_study, never_killed)


@pytest.mark.slow
def test_a_kill_at_every_named_moment_of_one_study(commands, new_study, never_killed, moment):
    kill_at(MOMENTS, commands, new_study, moment)
    finish(commands, new_study)
    check_sound(new_study, never_killed)


def kill_at_random(n_kills, seed, commands, folder):
    """Kills within the time that one trial takes; fewer where the study is full before."""
    dice = random.Random(seed)
    n_killed = 0
    for _ in range(n_kills):
        running = commands.start(*RUN, cwd=folder)
        time.sleep(dice.uniform(0.1, 4.0))
        os.kill(running.pid, signal.SIGKILL)  # not waited for yet: its number is its own
        n_killed += commands.wait(running).code == -signal.SIGKILL
    return n_killed


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_kills_at_random_moments(seed, commands, new_study, never_killed):
    assert kill_at_random(5, seed, commands, new_study) > 0
    finish(commands, new_study)
    check_sound(new_study, never_killed)


def test_the_same_command_on_a_full_study_changes_nothing(finished, commands, never_killed):
    ended = finish(commands, finished.folder)
    assert "tiny is full: 4 of 4 trials; for more: optdet study run tiny --trials 14" in ended.out
    assert contents(finished.folder / "studies") == never_killed


@pytest.mark.slow
def test_two_workers_share_a_study(commands, new_study):
    """One dies on the way; between the two every trial is finished once, and none too many."""
    first, second = (commands.start(*RUN, cwd=new_study) for _ in range(2))
    time.sleep(2)
    os.kill(first.pid, signal.SIGKILL)
    assert commands.wait(first).code == -signal.SIGKILL
    ended = commands.wait(second)
    assert ended.code == 0, ended.err
    found = contents(new_study / "studies")
    assert [trial["number"] for trial in found["trials"]] == [0, 1, 2, 3]
    assert {trial["state"] for trial in found["trials"]} <= {"COMPLETE", "PRUNED"}
    assert found["slots"] == []


def interrupt(ending, commands, folder, *, after):
    """What a run says that is ended by a signal once it has said the words ``after``."""
    running = commands.start(*RUN, cwd=folder)
    wait_for(running.folder / "err", after)
    os.kill(running.pid, ending)
    ended = commands.wait(running)
    assert ended.code == 130
    assert ended.err.splitlines()[-1] == "interrupted; go on with: optdet study run tiny"
    assert "Traceback" not in ended.err
    return ended.err


def test_an_interrupted_run_says_how_to_go_on_and_gives_its_slot_back(commands, new_study):
    interrupt(signal.SIGTERM, commands, new_study, after="epoch 1/3")
    assert contents(new_study / "studies")["slots"] == []
    said = interrupt(signal.SIGINT, commands, new_study, after="epoch 2/3")
    assert "trial 0 goes on" in said
    assert contents(new_study / "studies")["slots"] == []
    assert [trial["state"] for trial in contents(new_study / "studies")["trials"]] == ["RUNNING"]


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_study_ends_as_one_that_was_not(ending, commands, new_study, never_killed):
    for words in ("epoch 1/3", "trial 0 complete", "trial 1 epoch 2/3"):
        interrupt(ending, commands, new_study, after=words)
    finish(commands, new_study)
    check_sound(new_study, never_killed)


def wait_for(path, words):
    deadline = time.monotonic() + 60
    while words not in path.read_text():
        assert time.monotonic() < deadline, f"{words!r} was not said"
        time.sleep(0.01)
