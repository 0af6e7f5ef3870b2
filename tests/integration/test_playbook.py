"""A playbook runs through its gates, is killed anywhere, and ends as one that was never killed."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import baseline_home
import pytest

pytestmark = pytest.mark.slow

PLAYBOOK = """
name: strategy
target: 0.99
start: {source: base, config: base.yaml, expected: {hmean: 0.5}}
test_images: images
stages:
  postprocess:
    do: postprocess
    title: frozen
    candidates: two.yaml
    expected: {hmean: 0.6, time: 5 min}
    gate:
      - {at_least: 0.99, go: done}
      - {below: 0.99, choose: [sweep, again]}
  sweep:
    do: study
    study: tiny.yaml
    trials: 2
    gate: [{at_least: 0.99, go: done}, {below: 0.99, go: other, then: done}]
  again:
    do: train
    config: base.yaml
    overrides: {optimizer.lr: 0.02}
    gate: [{at_least: 0.99, go: done}, {below: 0.99, go: other, then: done}]
  done: {do: submit}
checklist:
  - {text: post-processing run, stages: [postprocess]}
  - {text: two files submitted, stages: [postprocess], files: 2}
  - {text: best parameters found, stages: [sweep, again], at_least: 0.99}
  - {text: final submission, stages: [done], at_least: 0.001}
"""
BASE = """
device: cpu
data: {synthetic: {train: 10, val: 5, image_size: 192, difficulty: 0.0}, size: 128, workers: 0}
augment: {geometry_prob: 0.0}
model: {backbone: test_efficientnet, pretrained: false, inner_channels: 16, thresh_branch: false}
loss: {negative_ratio: 1.0}
optimizer: {lr: 0.04}
train: {epochs: 2, batch_size: 1}
postprocess: {tune: {method: tpe, trials: 4}}
"""
RUN = ("playbook", "run", "strategy.yaml")


def new_folder(folder: Path, study_file: str, commands) -> Path:
    (folder / "strategy.yaml").write_text(PLAYBOOK)
    (folder / "base.yaml").write_text(BASE)
    (folder / "tiny.yaml").write_text(study_file)
    (folder / "two.yaml").write_text("candidates: [{label: a, thresh: 0.4}, {label: b, thresh: 0.5}]")
    assert commands.run("data", "synth", "made", "--train", 1, "--val", 2, cwd=folder).code == 0
    (folder / "made" / "val" / "images").rename(folder / "images")
    return folder


def status(commands, folder):
    """All that a playbook came to, but for times."""
    shown = commands.run("playbook", "status", "strategy.yaml", "--json", cwd=folder)
    assert shown.code == 0, shown.err
    found = json.loads(shown.out)
    for step in found["steps"]:
        assert step.pop("seconds") >= 0
    return found


@pytest.fixture(scope="module")
def never_killed(tmp_path_factory, commands, study_file):
    folder = new_folder(tmp_path_factory.mktemp("never"), study_file, commands)
    ran = commands.run(*RUN, cwd=folder)
    assert ran.code == 0, ran.err
    return folder, ran, status(commands, folder)


def test_it_goes_the_way_that_its_gates_say(never_killed):
    folder, ran, found = never_killed
    stages = [step["stage"] for step in found["steps"]]

    assert stages == ["start", "postprocess", "sweep", "again", "done"]
    reasons = [step["decision"]["reason"] for step in found["steps"]]
    assert "below 0.99; the default of sweep and again" in reasons[1]
    assert "below 0.99; the other of the choice" in reasons[2]
    assert "below 0.99; every other of the choice was taken" in reasons[3]
    assert reasons[4] == "the end"
    assert found["ahead"] == []
    assert [line["done"] for line in found["checklist"]] == [True, True, False, True]
    files = [file["path"] for file in found["steps"][1]["result"]["files"]]
    assert [Path(path).name for path in files] == ["strategy-01-postprocess.csv", "a.csv", "b.csv"]
    assert all((folder / path).is_file() for path in files)
    assert "on other images like these: 0.99 or more" in ran.err
    assert "at an end" in ran.out


def test_the_end_takes_the_best_of_all_steps(never_killed):
    steps = never_killed[2]["steps"]
    best = max(steps[:-1], key=lambda step: step["score"])

    assert steps[-1]["score"] == best["score"] > 0
    assert steps[-1]["result"]["source"] == best["result"]["source"]
    assert steps[-1]["result"]["lines"] == [f"the best of 4 steps: {best['stage']}"]


def test_predicting_at_a_steps_thresholds_gives_its_score(never_killed, commands):
    folder, _, found = never_killed
    result = found["steps"][2]["result"]
    thresholds = [word for pair in result["thresholds"].items() for word in ("-t", "{}={}".format(*pair))]
    best = json.loads(commands.run("study", "best", "base", "--json", cwd=folder).out)

    val = ("--images", best["val"]["images"], "--out", "val.csv")
    assert commands.run("predict", result["source"], *val, *thresholds, cwd=folder).code == 0
    scores = commands.run("evaluate", "val.csv", "--labels", best["val"]["labels"], "--json", cwd=folder)

    assert json.loads(scores.out)["competition"]["macro"]["hmean"] == result["hmean"]


MOMENTS = {
    "before the start's study is made": ("optdet.tuning.study_creation:create_study",),
    "in the start's training": ("optdet.tuning.progress:Together.batch", 4),
    "before a result is kept": ("optdet.playbook.runner:end_step", 1),
    "after a result is kept": ("optdet.playbook.runner:end_step", 1, True),
    "between two steps": ("optdet.playbook.runner:begin_step", 1),
    "in a search's second trial": ("optdet.training.fit:epoch_score", 4),
    "before the best is trained alone": ("optdet.tuning.study_creation:create_study", 1, True),
    "in the predictions": ("optdet.inference.folder:write_checked",),
}


def test_a_playbook_that_is_killed_everywhere_ends_as_one_that_never_was(
    tmp_path, commands, study_file, moment, never_killed
):
    folder = new_folder(tmp_path, study_file, commands)
    for name, where in MOMENTS.items():
        killed = commands.run(*RUN, cwd=folder, kill=moment(*where))
        assert killed.code == -signal.SIGKILL, f"was not killed {name}:\n{killed.err}"
    ended = commands.run(*RUN, cwd=folder)

    assert ended.code == 0, ended.err
    assert status(commands, folder) == never_killed[2]


def test_an_interrupt_says_how_to_go_on_and_until_stops(tmp_path, commands, study_file, moment):
    folder = new_folder(tmp_path, study_file, commands)
    where = moment("optdet.tuning.progress:Together.batch", 4, ending=signal.SIGINT)
    interrupted = commands.run(*RUN, "--choose", "again", "--device", "cpu", cwd=folder, kill=where)
    assert interrupted.code == 130
    assert "go on with: optdet playbook run strategy.yaml --choose again --device cpu\n" in interrupted.err

    stopped = commands.run(*RUN, "--until", "postprocess", "--choose", "again", cwd=folder)
    assert stopped.code == 0, stopped.err
    assert "stopped: postprocess is done" in stopped.out
    found = status(commands, folder)
    assert [step["stage"] for step in found["steps"]] == ["start", "postprocess"]
    assert found["steps"][-1]["decision"]["go"] == "again"

    changed = (folder / "strategy.yaml").read_text().replace("candidates: two.yaml", "tune: {method: none}")
    (folder / "strategy.yaml").write_text(changed)
    refused = commands.run(*RUN, cwd=folder)
    assert refused.code == 1
    assert "postprocess was run with candidates two.yaml, the file now has None" in refused.err
    looked = status(commands, folder)
    assert [step["stage"] for step in looked["steps"]] == ["start", "postprocess"]
    assert [note in refused.err for note in looked["notes"]] == [True]
    assert commands.run("playbook", "forget", "strategy.yaml", "--since", 1, cwd=folder).code == 0
    assert commands.run(*RUN, "--until", "postprocess", cwd=folder).code == 0


FROM_A_FILE = """
target: 0.99
start: {source: home.pt, config: base.yaml}
stages:
  folds: {do: folds, folds: 2, overrides: {train.updates: 2}, methods: [maps], next: done}
  done: {do: submit}
"""


def test_a_start_that_is_a_file_takes_its_images_from_the_config(tmp_path, commands):
    (tmp_path / "base.yaml").write_text(BASE.replace("{method: tpe, trials: 4}", "{method: exhaustive}"))
    baseline_home.save(tmp_path / "home.ckpt", baseline_home.tensors())
    imported = commands.run(
        "import", "home.ckpt", "--backbone", "test_efficientnet", "--size", 128, cwd=tmp_path
    )
    assert imported.code == 0, imported.err
    (tmp_path / "strategy.yaml").write_text(FROM_A_FILE.replace(", config: base.yaml", ""))
    refused = commands.run(*RUN, cwd=tmp_path)
    assert refused.code == 1
    assert "the start knows no labelled images to score on; add images: and labels:" in refused.err

    (tmp_path / "strategy.yaml").write_text(FROM_A_FILE)
    assert commands.run("playbook", "forget", "strategy.yaml", "--since", 0, cwd=tmp_path).code == 0
    ran = commands.run(*RUN, cwd=tmp_path)
    assert ran.code == 0, ran.err
    found = status(commands, tmp_path)
    assert [step["stage"] for step in found["steps"]] == ["start", "folds", "done"]
    assert found["steps"][0]["result"]["source"] == "home.pt"
    assert len(found["steps"][1]["result"]["members"]) == 2
    shown = json.loads(commands.run("study", "folds", "strategy-folds", "--json", cwd=tmp_path).out)
    assert [row["images"] for row in shown["folds"]] == [5, 5]
    assert shown["judged_images"] == 5
