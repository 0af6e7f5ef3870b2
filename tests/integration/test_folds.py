"""Five-fold training by its commands, with three folds: split, create, be killed, go on, pool, predict."""

from __future__ import annotations

import csv
import json
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from killing import MOMENTS, contents, tracebacks

pytestmark = pytest.mark.slow

CONFIG = """
device: cpu
data:
  train: {images: data/train/images, labels: data/train/labels.json}
  val: {images: data/val/images, labels: data/val/labels.json}
  size: 128
  workers: 0
augment: {geometry_prob: 0.0}
model: {backbone: test_efficientnet, pretrained: false, inner_channels: 16, thresh_branch: false}
loss: {negative_ratio: 1.0}
optimizer: {lr: 0.02}
train: {epochs: 3, batch_size: 1}
postprocess: {tune: {method: random, trials: 8, space: {use_polygon: {type: categorical, choices: [false]}}}}
"""
RUN = ("study", "run", "tiny")
UPDATES = 6
"""Each fold learns from four images: an epoch, and one of two updates, the last one cut short."""


@dataclass(frozen=True)
class Folds:
    """A working directory whose study of folds was run in one go, a copy of it from before, and its table."""

    folder: Path
    before: Path
    shown: dict[str, Any]


@pytest.fixture(scope="module")
def folds(commands, tmp_path_factory):
    def optdet(*words, cwd):
        ran = commands.run(*words, cwd=cwd)
        assert ran.code == 0, ran.err
        return ran

    folder = tmp_path_factory.mktemp("folds") / "whole"
    folder.mkdir()
    (folder / "one.yaml").write_text(CONFIG)
    optdet(
        "data", "synth", "data", "--train", 6, "--val", 2, "--image-size", 192, "--difficulty", 0, cwd=folder
    )
    optdet("data", "split", "one.yaml", "--folds", 3, "--out", "folds", cwd=folder)
    optdet("train", "one.yaml", "--name", "base", cwd=folder)
    create = ("study", "create", "--folds", "folds/folds.json", "--from", "base", "--name", "tiny")
    said = optdet(*create, f"train.updates={UPDATES}", "keep.inner_studies=1", "keep.overlays=1", cwd=folder)
    assert said.out.startswith("created: study tiny, 3 trials")
    before = folder.with_name("before")
    shutil.copytree(folder, before)
    ran = optdet(*RUN, cwd=folder)
    assert "tiny is full: 3 of 3 trials\nthe folds side by side: optdet study folds tiny\n" in ran.out
    assert "best of" not in ran.err
    shown = json.loads(optdet("study", "folds", "tiny", "--json", cwd=folder).out)
    return Folds(folder, before, shown)


def without_scores(root):
    """All that the study is, as it is after its run alone."""
    found = contents(root)
    judged = [name for name in found["files"] if name.startswith("cache/")]
    return {**found, "files": [name for name in found["files"] if name not in judged]}


def test_a_study_of_folds_that_was_killed_ends_as_one_that_was_not(folds, commands, moment, tmp_path):
    """In the epoch that is cut short of the second fold, while maps are written, and at the third's end; and
    the labels change on the way, and change back."""
    folder = tmp_path / "killed"
    shutil.copytree(folds.before, folder)
    for kill in (
        ("optdet.tuning.progress:Together.batch", UPDATES + 5),
        MOMENTS["while a map is written"],
        MOMENTS["before tell"],
    ):
        killed = commands.run(*RUN, cwd=folder, kill=moment(*kill))
        assert killed.code == -signal.SIGKILL, killed.err
        if kill[0].endswith("batch"):
            assert "trial 1 epoch 1/2" in killed.err
            refuse_changed_labels(commands, folder)
            shown = json.loads(commands.run("study", "folds", "tiny", "--json", cwd=folder).out)
            assert shown["missing"] == [1, 2]
            assert [fold["state"] for fold in shown["folds"]] == ["complete", "running", "waiting"]
    ended = commands.run(*RUN, cwd=folder)
    assert ended.code == 0, ended.err
    assert tracebacks(folder / "studies") == {}
    assert without_scores(folder / "studies") == without_scores(folds.folder / "studies")
    again = commands.run("study", "folds", "tiny", "--json", cwd=folder)
    assert json.loads(again.out) == folds.shown


def refuse_changed_labels(commands, folder):
    labels = folder / "data/train/labels.json"
    written = labels.read_text()
    tree = json.loads(written)
    tree["images"]["receipt_00002.jpg"]["words"].popitem()
    labels.write_text(json.dumps(tree))
    before = contents(folder / "studies")["trials"]
    for words in (
        RUN,
        ("study", "folds", "tiny"),
        ("predict", "tiny:oof", "--images", "data/train/images", "--out", "x.csv"),
    ):
        refused = commands.run(*words, cwd=folder)
        assert refused.code == 1, refused.err
        said = "folds/folds.json: 1 image has other words (receipt_00002.jpg) since the data were parted"
        assert said in refused.err.splitlines()[-1]
        assert "Traceback" not in refused.err
    assert contents(folder / "studies")["trials"] == before
    labels.write_text(written)


def test_the_table(folds, commands):
    shown = folds.shown
    assert shown["checkpoint"] == "fixed"
    assert [fold["images"] for fold in shown["folds"]] == [2, 2, 2]
    assert [fold["updates"] for fold in shown["folds"]] == [UPDATES] * 3
    assert [fold["epochs"] for fold in shown["folds"]] == [2, 2, 2]
    assert shown["judged_images"] == 2
    assert shown["out_of_fold"]["hmean_crossfit"] is not None
    table = commands.run("study", "folds", "tiny", "--out", "report", cwd=folds.folder)
    assert table.code == 0, table.err
    lines = table.out.splitlines()
    assert lines[0] == "tiny: 3 of 3 folds"
    assert max(map(len, lines[:8])) <= 80
    pooled = shown["out_of_fold"]
    low, high = pooled["interval"]
    hmean = pooled["scores"]["competition"]["macro"]["hmean"]
    assert (
        f"out of fold {hmean:.4f} on 6 images, 95 % interval {low:.4f} to {high:.4f}; "
        f"cross-fitted {pooled['hmean_crossfit']:.4f}" in lines
    )
    assert any("no image had a say in when to stop (train.checkpoint: fixed)" in line for line in lines)
    assert "ranked on 2 images that all of them held out, at the pooled thresholds" in lines
    first = next(fold for fold in shown["folds"] if fold["judge"]["rank"] == 1)
    assert lines[-3].split() == ["1", str(first["fold"]), f"{first['judge']['hmean']:.4f}"]
    with (folds.folder / "report/images.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sorted(int(row["fold"]) for row in rows) == [0, 0, 1, 1, 2, 2]
    assert sum(float(row["hmean"]) for row in rows) / 6 == pytest.approx(hmean)
    assert (folds.folder / "report/folds.png").stat().st_size > 5000
    unranked = commands.run("study", "folds", "tiny", "--no-rank", cwd=folds.folder)
    assert unranked.out.splitlines()[-1].startswith("not ranked: folds hold out different images")


def test_predict_and_evaluate_give_the_scores_to_the_last_digit(folds, commands):
    """Of all images out of fold, and of one fold's own."""
    shown = folds.shown
    for source, labels, scores in (
        ("tiny:oof", "data/train/labels.json", shown["out_of_fold"]["scores"]),
        ("tiny:1", "folds/fold1/val.json", None),
    ):
        out = source.replace(":", "-") + ".csv"
        words = ("--images", "data/train/images", "--labels", labels, "--out", out)
        ran = commands.run("predict", source, *words, cwd=folds.folder)
        assert ran.code == 0, ran.err
        scored = json.loads(commands.run("evaluate", out, "--labels", labels, "--json", cwd=folds.folder).out)
        hmean = scored["competition"]["macro"]["hmean"]
        if scores is None:
            assert hmean == shown["folds"][1]["own"]
        else:
            assert {name: scored[name] for name in scores} == scores
    words = ("--images", "data/val/images", "--out", "v.csv")
    strangers = commands.run("predict", "tiny:oof", *words, cwd=folds.folder)
    assert strangers.code == 1
    assert "2 images are in no fold" in strangers.err
    compared = commands.run("compare", "tiny:oof", "tiny-oof.csv", "--json", cwd=folds.folder)
    assert json.loads(compared.out)["competition"]["macro"]["hmean"]["difference"] == 0


def test_thresholds_are_tuned_on_the_pooled_maps(folds, commands):
    tuned = commands.run("postprocess", "tune", "tiny:oof", "--quads", "--json", cwd=folds.folder)
    assert tuned.code == 0, tuned.err
    report = json.loads(tuned.out)
    assert report["images"] == 6
    assert report["current"]["thresholds"] == folds.shown["out_of_fold"]["thresholds"]
    assert report["current"]["competition"] == folds.shown["out_of_fold"]["scores"]["competition"]
    names = [
        row["study"]
        for row in json.loads(commands.run("study", "list", "--all", "--json", cwd=folds.folder).out)
    ]
    kept = [name for name in names if name.startswith("tiny-oof.postprocess.")]
    assert len(kept) == 1


def test_where_an_epoch_is_chosen_that_is_said(folds, commands, tmp_path):
    folder = tmp_path / "best"
    shutil.copytree(folds.before, folder)
    create = ("study", "create", "--folds", "folds/folds.json", "--from", "base", "--name", "chosen")
    made = commands.run(*create, "train.checkpoint=best", "train.updates=5", "keep.overlays=0", cwd=folder)
    assert made.code == 0, made.err
    assert commands.run("study", "run", "chosen", cwd=folder).code == 0
    shown = commands.run("study", "folds", "chosen", "--no-rank", cwd=folder)
    assert shown.code == 0, shown.err
    assert "each fold kept the epoch that scored best on the images it holds out, which inflates" in shown.out


def test_a_study_of_folds_goes_with_all_that_it_left(folds, commands, tmp_path):
    folder = tmp_path / "gone"
    shutil.copytree(folds.folder, folder)
    assert commands.run("postprocess", "tune", "tiny:oof", "--quads", cwd=folder).code == 0
    deleted = commands.run("study", "delete", "tiny", "--yes", cwd=folder)
    assert deleted.code == 0, deleted.err
    rows = json.loads(commands.run("study", "list", "--all", "--json", cwd=folder).out)
    assert {row["study"] for row in rows if row["study"].startswith("tiny")} == set()


def test_workers_share_the_folds(folds, commands, tmp_path):
    folder = tmp_path / "shared"
    shutil.copytree(folds.before, folder)
    ran = commands.run(*RUN, "--workers", 2, cwd=folder)
    assert ran.code == 0, ran.err
    shown = json.loads(commands.run("study", "folds", "tiny", "--json", cwd=folder).out)
    assert shown == folds.shown


def test_smoke(folds, commands, tmp_path):
    folder = tmp_path / "smoke"
    shutil.copytree(folds.before, folder)
    ran = commands.run(*RUN, "--smoke", cwd=folder)
    assert ran.code == 0, ran.err
    assert "data      4 training and 2 validation images" in ran.out
