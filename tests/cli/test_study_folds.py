"""Studies of folds on the command line, before anything is trained; tests/integration runs one."""

from __future__ import annotations

import json

import pytest

CONFIG = """\
data:
  train: {images: receipts/train/images, labels: receipts/train/labels.json}
  val: {images: receipts/val/images, labels: receipts/val/labels.json}
  size: 96
model: {backbone: test_efficientnet, pretrained: false, inner_channels: 16}
train: {epochs: 3, batch_size: 2}
"""
CREATE = ("study", "create", "--folds", "folds/folds.json")


@pytest.fixture(scope="module")
def parted(tmp_path_factory, run_in):
    """A folder with a config and its images in three folds, and a study of them. Tests leave both alone."""
    folder = tmp_path_factory.mktemp("parted")
    run = run_in(folder)
    assert run("data", "synth", "receipts", "--train", 6, "--val", 2, "--image-size", 192).code == 0
    (folder / "mine.yaml").write_text(CONFIG)
    assert run("data", "split", "mine.yaml", "--folds", 3).code == 0
    made = run(*CREATE, "mine.yaml")
    assert made.code == 0, made.err
    assert made.out.startswith("created: study mine-folds, 3 trials, in ")
    assert "3 folds as mine.yaml, 9 updates each, 5 epochs at most" in made.err
    return run


def test_the_same_study_again_exists(parted):
    assert parted(*CREATE, "mine.yaml").out.startswith("exists: study mine-folds, 3 trials")
    other = parted(*CREATE, "mine.yaml", "optimizer.lr=0.5")
    assert "exists with another definition (optimizer.lr: 0.001 there, 0.5 here)" in other.error


def test_weights_to_start_from(parted):
    """They are taken out on the command line."""
    refused = parted(*CREATE, "mine.yaml", "--name", "started", "train.start=seen.pt")
    assert "the weights of seen.pt, which may have learnt the images that it holds out" in refused.error
    assert parted(*CREATE, "mine.yaml", "train.start=null").out.startswith("exists: study mine-folds")


SWEEP = """\
method: grid
parameters:
  models.optimizer.lr: {values: [0.1, 0.2]}
  datasets.fold: {values: [0, 1, 2]}
"""


def test_a_sweep_over_folds(parted, tmp_path):
    """What it varies beside them is varied on each."""
    sweep, in_folds = tmp_path / "sweep.yaml", tmp_path / "in-folds.yaml"
    sweep.write_text(SWEEP)
    in_folds.write_text(
        "data: {folds: folds/folds.json, size: 96}\nmodel: {backbone: test_efficientnet, pretrained: false}\n"
    )
    made = parted("study", "create", "--from-wandb", sweep, in_folds)
    assert made.out.startswith("created: study sweep, 6 trials"), made.err
    ran = parted("study", "run", "sweep", "--timeout", "0s").out
    assert "none is the best, since folds hold out different images: optdet study show sweep" in ran
    refused = parted("study", "create", "--from-wandb", sweep, "mine.yaml", "--name", "other").error
    assert "data.fold needs data.folds, the file that `optdet data split` writes" in refused
    assert "data.folds=folds/folds.json in place of data.train and data.val" in refused


def test_what_is_missing(parted):
    shown = parted("study", "folds")
    assert shown.code == 0, shown.err
    assert shown.err.startswith("study mine-folds\n")
    lines = shown.out.splitlines()
    assert lines[0] == "mine-folds: 0 of 3 folds"
    assert lines[2].split() == ["0", "0", "waiting", "2", "0"]
    assert "folds 0-2 missing: optdet study run mine-folds" in lines
    as_json = json.loads(parted("study", "folds", "mine-folds", "--json").out)
    assert as_json["missing"] == [0, 1, 2]
    assert (as_json["own"], as_json["out_of_fold"]) == (None, None)
    refused = parted("predict", "mine-folds:oof", "--images", "receipts/train/images", "--out", "x.csv")
    assert "folds 0-2 are not finished; run it: optdet study run mine-folds" in refused.error


def test_wrong_usage(parted):
    assert parted(*CREATE).code == 2
    assert parted(*CREATE, "mine.yaml", "--from", "mine-folds").code == 2
    assert parted("study", "create", "--from", "mine-folds").code == 2
    assert parted("study", "folds", "--images", "receipts/val/images").code == 2
    assert "no file of folds is there" in parted("study", "create", "mine.yaml", "--folds", "none.json").error
    assert "no study named 'none'" in parted(*CREATE, "--from", "none").error
    assert "none of them is the best" in parted(*CREATE, "--from", "mine-folds").error
    assert "trial 1 is waiting" in parted(*CREATE, "--from", "mine-folds:1").error
    assert "none of them is the best" in parted("study", "best", "mine-folds").error


def test_other_studies_are_no_studies_of_folds(parted):
    assert parted("study", "create", "mine.yaml").code == 0
    assert "mine is no study of folds" in parted("study", "folds", "mine").error
    assert parted("study", "folds").err.startswith("study mine-folds\n")
