"""A trial that is extended, killed on the way, ends as one that was not."""

from __future__ import annotations

import json
import shutil
import signal

import pytest

MOMENTS = {
    "before anything": ("optdet.tuning.objective:fit",),
    "while the weights are scored": ("optdet.training.fit:epoch_score",),
    "between the two checkpoints of the start": (
        "optdet.training.checkpoints:CheckpointFolder.save",
        1,
        True,
    ),
    "before the start is reported": ("optuna.trial:Trial.report",),
    "in training": ("optdet.tuning.progress:Together.batch", 4),
    "between checkpoint and report": ("optuna.trial:Trial.report", 1),
    "before tell": ("optdet.tuning.worker:Worker._told",),
}


def show(commands, folder):
    shown = commands.run("study", "show", "tiny", "--json", cwd=folder)
    assert shown.code == 0, shown.err
    trials = json.loads(shown.out)["trials"]
    return [{key: trial[key] for key in trial if key not in ("seconds", "images_per_s")} for trial in trials]


def files(folder):
    """Names of checkpoints hold their SHA-256."""
    root = folder / "studies"
    return sorted(str(path.relative_to(root)) for path in (root / "runs").rglob("*") if path.is_file())


@pytest.fixture
def queued(finished, commands, tmp_path):
    """Twice the finished study with its first pruned trial queued to go on."""
    folders = tmp_path / "killed", tmp_path / "straight"
    for folder in folders:
        shutil.copytree(finished.folder, folder)
        number = next(trial["number"] for trial in show(commands, folder) if trial["state"] == "pruned")
        said = commands.run("study", "extend", f"tiny:{number}", cwd=folder)
        assert said.code == 0, said.err
        assert f"queued in tiny as trial 4: trial {number} goes on after epoch " in said.out
        assert said.out.endswith("run it: optdet study run tiny --trials 5\n")
    return folders


@pytest.mark.slow
def test_an_extension_that_is_killed_ends_as_one_that_was_not(queued, commands, moment):
    killed, straight = queued
    run = ("study", "run", "tiny", "--trials", "5")
    ended = commands.run(*run, cwd=straight)
    assert ended.code == 0, ended.err
    assert "trial 4: starting after epoch" in ended.err
    assert "trial 4 complete" in ended.err
    for name, at in MOMENTS.items():
        ran = commands.run(*run, cwd=killed, kill=moment(*at))
        assert ran.code == -signal.SIGKILL, f"was not killed {name}:\n{ran.err}"
    assert commands.run(*run, cwd=killed).code == 0
    assert show(commands, killed) == show(commands, straight)
    assert files(killed) == files(straight)
    new = show(commands, straight)[4]
    old = show(commands, straight)[new["extended_from"]]
    assert new["params"] == old["params"]
    assert new["epochs"] == 3
