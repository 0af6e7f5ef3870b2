"""``optdet train``, ``predict`` and ``evaluate`` one after the other: a run's value is found again, whole."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing

import pytest

from optdet.data.predictions import read_predictions

LEARNS = """\
data:
  synthetic: {train: 16, val: 4, image_size: 224, difficulty: 0}
  size: 224
  workers: 0
augment: {geometry_prob: 0}
model: {backbone: mobilenetv3_small_050, pretrained: false, inner_channels: 32}
optimizer: {lr: 0.01}
train: {epochs: 4, batch_size: 2}
postprocess: {tune: {trials: 8}}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory, run_in):
    """A folder with a detector that has learnt something, and what its training printed."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "learns.yaml").write_text(LEARNS)
    ran = run_in(folder)("train", "learns.yaml")
    assert ran.code == 0, ran.err
    return folder, ran


@pytest.fixture(scope="module")
def best(trained, run_in):
    return json.loads(run_in(trained[0])("study", "best", "learns", "--json").out)


def test_a_run_is_a_study_of_one_trial(trained, best, optdet):
    folder, ran = trained
    assert "created: learns in sqlite:///studies/optdet.db" in ran.err
    assert "trial 0: the config as it stands" in ran.err
    assert "learns is full: 1 of 1 trials\n" in ran.out  # and no offer of more of the same
    assert best["number"] == 0
    assert best["value"] > 0.5  # so that the figures below are not those of an empty prediction
    again = optdet("train", "learns.yaml", cwd=folder)
    assert "exists: learns" in again.err
    assert "trial 0" not in again.err


@pytest.mark.parametrize("suffix", ["csv", "json"])
@pytest.mark.parametrize("source", ["learns", "learns:0", "checkpoint"])
@pytest.mark.thin(2)
def test_predict_and_evaluate_give_the_value_to_the_last_digit(
    trained, best, optdet, tmp_path, source, suffix
):
    folder, _ = trained
    out = tmp_path / f"val.{suffix}"
    source = best["checkpoint"] if source == "checkpoint" else source
    ran = optdet("predict", source, "--images", best["val"]["images"], "--out", out, cwd=folder)
    assert ran.code == 0, ran.err
    assert ran.out == ""
    scores = json.loads(optdet("evaluate", out, "--labels", best["val"]["labels"], "--json", cwd=folder).out)
    assert {name: scores[name] for name in best["scores"]} == best["scores"]
    assert scores["competition"]["macro"]["hmean"] == best["value"]


def test_the_value_does_not_hang_on_the_map_cache(trained, best, optdet, tmp_path):
    folder, _ = trained
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    shutil.rmtree(copy / "studies/cache")
    shown = json.loads(optdet("study", "best", "--json", cwd=copy).out)  # paths follow a folder that is moved
    assert shown["val"]["images"].startswith(str(copy))
    optdet("predict", "learns", "--images", shown["val"]["images"], "--out", "val.csv", cwd=copy)
    scores = json.loads(
        optdet("evaluate", "val.csv", "--labels", shown["val"]["labels"], "--json", cwd=copy).out
    )
    assert scores["competition"]["macro"]["hmean"] == best["value"]


def test_a_threshold_can_be_replaced(trained, best, optdet, tmp_path):
    folder, _ = trained
    images = best["val"]["images"]

    def n_polygons(*changes):
        options = [part for change in changes for part in ("-t", change)]
        out = tmp_path / "val.csv"
        ran = optdet("predict", "learns", "--images", images, "--out", out, *options, cwd=folder)
        assert ran.code == 0, ran.err
        return sum(len(polygons) for polygons in read_predictions(out).values()), ran.err

    n_found, said = n_polygons()
    assert n_found > 0
    assert f"thresh {best['thresholds']['thresh']:g}," in said
    few, said = n_polygons("box_thresh=0.99")
    assert few < n_found
    assert "box_thresh 0.99" in said


@pytest.mark.parametrize("score", ["--score", "--no-score"])
def test_a_trial_at_its_thresholds_has_its_own_scores_in_the_registry(trained, best, optdet, tmp_path, score):
    copy = tmp_path / "copy"
    shutil.copytree(trained[0], copy)
    with closing(sqlite3.connect(copy / "studies/optdet.db")) as connection, connection:
        connection.execute("DELETE FROM optdet_submissions")  # the same bytes, known better from other tests
    shown = json.loads(optdet("study", "best", "--json", cwd=copy).out)
    command = ("predict", "learns", "--images", shown["val"]["images"], score)
    assert optdet(*command, "--out", "own.csv", cwd=copy).code == 0
    assert optdet(*command, "--out", "other.csv", "-t", "box_thresh=0.9", cwd=copy).code == 0
    listed = json.loads(optdet("submission", "list", "--json", cwd=copy).out)["submissions"]
    rows = {row["file"]: row for row in listed}
    own, other = rows["own.csv"], rows["other.csv"]
    assert {key: own["local"][key] for key in best["scores"]} == best["scores"]
    assert own["local"]["hmean_crossfit"] == best["hmean_crossfit"]
    assert own["local"]["images"] == (4 if score == "--score" else None)
    assert own["sources"] == [f"learns:{best['number']}"]
    if score == "--no-score":
        assert other["local"] is None
    else:
        assert other["local"]["hmean_crossfit"] is None
        assert other["local"]["competition"]["macro"]["hmean"] < best["value"]


def test_only_the_images_of_a_label_file(trained, best, optdet, tmp_path):
    labels = json.loads((trained[0] / best["val"]["labels"]).read_text())
    first = sorted(labels["images"])[0]
    (tmp_path / "one.json").write_text(json.dumps({"images": {first: labels["images"][first]}}))
    out = tmp_path / "one.csv"
    arguments = ("--images", best["val"]["images"], "--labels", tmp_path / "one.json", "--out", out)
    assert optdet("predict", "learns", *arguments, cwd=trained[0]).code == 0
    assert list(read_predictions(out)) == [first]
    (tmp_path / "one.json").write_text(json.dumps({"images": {name: {} for name in (first, "gone.jpg")}}))
    out.unlink()
    error = optdet("predict", "learns", *arguments, cwd=trained[0]).error
    assert "one.json: 1 of 2 images are not in" in error
    assert "the first is gone.jpg; add them, or take them out of the labels" in error
    assert not out.exists()


def test_other_settings_are_another_run(tiny, optdet):
    quick = ("train.epochs=1", "postprocess.tune.method=none")
    assert "created: study tiny, 1 trial, " in optdet("study", "create", "configs/tiny.yaml", *quick).out
    assert "created: tiny-2 " in optdet("train", "configs/tiny.yaml", *quick, "seed=1").err
    shown = json.loads(optdet("study", "list", "--json").out)
    assert [(row["study"], row["finished"]) for row in shown] == [("tiny", 0), ("tiny-2", 1)]


@pytest.mark.parametrize(
    "broken",
    [
        ("--device", "tpu9"),
        ("model.weights=none.pt",),
    ],
)
def test_a_run_that_cannot_begin_leaves_no_study(tiny, optdet, broken):
    for _ in range(2):
        assert optdet("train", "configs/tiny.yaml", *broken).error
    assert json.loads(optdet("study", "list", "--json").out) == []


def test_a_run_without_its_images_leaves_no_study(tiny, optdet):
    source = "{images: none, labels: none.json}"
    data = f"data: {{train: [{source}], val: {source}, size: 96, workers: 0}}\n"
    text = (tiny / "configs/tiny.yaml").read_text()
    (tiny / "configs/no-data.yaml").write_text(data + text[text.index("model:") :])
    assert "none" in optdet("train", "configs/no-data.yaml").error
    assert json.loads(optdet("study", "list", "--json").out) == []
