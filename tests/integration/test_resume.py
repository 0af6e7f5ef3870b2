"""SIGKILL at any moment, then the same command again: the study ends as one that was never killed.

With one worker on the CPU everything but times must be equal, to the last bit of every checkpoint.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from pathlib import Path

import pytest
from optuna.artifacts import get_all_artifact_meta

from optdet.store.engine import close_storage
from optdet.store.leases import Leases
from optdet.store.registry import load_inner_trials
from optdet.tuning import attributes as attr
from optdet.tuning.overview import study_rows
from optdet.tuning.study import load_study, open_database

RUN = ("study", "run", "tiny")

# In the order in which a trial meets them. An entry is a function and which of its calls, counted from the
# start of the process; a third one, True, kills after the call, not before.
MOMENTS = {
    "between two suggestions": ("optuna.trial:Trial.suggest_float", 2),
    "before the first epoch": ("optdet.tuning.objective:fit",),
    "in training": ("optdet.tuning.progress:Progress.batch", 4),
    "in validation": ("optdet.training.fit:epoch_score",),
    "while a checkpoint is written": ("optdet.model.checkpoint_file:save_checkpoint", 3, True),
    "between two checkpoints": ("optdet.training.checkpoints:CheckpointFolder.save", 1, True),
    "between checkpoint and report": ("optuna.trial:Trial.report", 1),
    "between report and the look at it": ("optuna.trial:Trial.should_prune", 2),
    "while a map is written": ("optdet.inference.map_cache:_checksum", 3, True),
    "in the inner loop": ("optdet.tuning.progress:Progress.tuning", 4),
    "after the inner results": ("optdet.tuning.objective:save_inner_trials", 1, True),
    "after the final checkpoint": ("optdet.tuning.objective:_finish_checkpoint", 1, True),
    "while a picture is written": ("PIL.Image:Image.save", 1, True),
    "in the artifacts": ("optdet.tuning.attachments:upload_artifact", 3),
    "before tell": ("optdet.tuning.worker:Worker._told",),
    "after tell": ("optdet.tuning.worker:keep_best", 2),
    "in the inner study": ("optuna.study:Study.add_trial", 20),
    "before the slot is released": ("optdet.store.leases:Leases.release",),
    "between reserve and ask": ("optuna.study:Study.ask",),
    "between ask and bind": ("optdet.store.leases:Leases.bind",),
}
"""Where a worker can die. What it does in its first trial of a process decides whether it comes there."""

OFTEN = (
    "between two suggestions",
    "in training",
    "in validation",
    "while a checkpoint is written",
    "between checkpoint and report",
    "in the inner loop",
    "while a picture is written",
    "in the artifacts",
    "after tell",
    "between ask and bind",
)


def contents(folder):
    """All that a study is, but for times: what is stored of it, and the names of its files.

    A checkpoint's name holds its SHA-256, a map's folder that of the weights.
    """
    database = open_database(str(folder / "studies" / "optdet.db"))
    study = load_study(database, "tiny")
    trials = [
        {
            "number": trial.number,
            "state": trial.state.name,
            "params": trial.params,
            "queued": trial.system_attrs.get("fixed_params"),
            "reports": trial.intermediate_values,
            "values": trial.values,
            "attributes": {name: value for name, value in trial.user_attrs.items() if name not in attr.TIMES},
            "artifacts": sorted(
                meta.filename for meta in get_all_artifact_meta(trial, storage=study.storage)
            ),
            "inner": load_inner_trials(study.storage, study.uuid, trial.number),
        }
        for trial in study.study.get_trials()
    ]
    inner_studies = {
        name: [
            (trial.number, trial.params, trial.values, trial.user_attrs)
            for trial in load_inner(study, name).get_trials()
        ]
        for name in sorted(
            row["study"] for row in study_rows(database, with_inner=True) if row["study"] != "tiny"
        )
    }
    root = folder / "studies"
    files = sorted(
        str(path.relative_to(root))
        for place in (root / "runs", root / "cache" / "maps")
        for path in place.rglob("*")
        if path.is_file()
    )
    slots = Leases(study.storage, study.study_id, study.uuid).live()
    close_storage(database.storage)
    return {"trials": trials, "inner studies": inner_studies, "files": files, "slots": slots}


def load_inner(study, name):
    import optuna

    return optuna.load_study(storage=study.storage, study_name=name)


def check_sound(folder, never_killed):
    killed = contents(folder)
    assert [trial["number"] for trial in killed["trials"]] == [0, 1, 2, 3]
    for ours, theirs in zip(killed["trials"], never_killed["trials"], strict=True):
        assert ours == theirs
    assert killed == never_killed
    assert killed["slots"] == []
    with sqlite3.connect(folder / "studies" / "optdet.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.fixture(scope="session")
def never_killed(finished):
    assert finished.ran.returncode == 0, finished.ran.stderr
    return contents(finished.folder)


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
    assert contents(finished.folder) == never_killed


@pytest.mark.slow
def test_two_workers_share_a_study(commands, new_study):
    """One dies on the way; between the two every trial is finished once, and none too many."""
    first, second = (commands.start(*RUN, cwd=new_study) for _ in range(2))
    time.sleep(2)
    os.kill(first.pid, signal.SIGKILL)
    assert commands.wait(first).code == -signal.SIGKILL
    ended = commands.wait(second)
    assert ended.code == 0, ended.err
    found = contents(new_study)
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
    assert contents(new_study)["slots"] == []
    said = interrupt(signal.SIGINT, commands, new_study, after="epoch 2/3")
    assert "trial 0 goes on" in said
    assert contents(new_study)["slots"] == []
    assert [trial["state"] for trial in contents(new_study)["trials"]] == ["RUNNING"]


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
