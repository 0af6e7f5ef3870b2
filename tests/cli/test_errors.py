"""What goes wrong for a user: one line that says what, where and what to do, and nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import Any

import pytest
import typer
from PIL import Image

from optdet.cli import running
from optdet.cli.again import Given
from optdet.inference.device import CardLost
from optdet.store.engine import close_storage, open_storage
from optdet.tuning import workers

REAL = """\
data:
  train: {images: train, labels: train.json}
  val: {images: val, labels: val.json}
  size: 96
  workers: 0
model: {backbone: test_efficientnet, pretrained: false, inner_channels: 16}
train: {epochs: 1, batch_size: 2}
postprocess: {tune: {method: none}}
"""
POINTS = [[8, 10], [60, 10], [60, 30], [8, 30]]


def words(*polygons, text="total"):
    return {"words": {str(n): {"points": points, "transcription": text} for n, points in enumerate(polygons)}}


def relabel(path, **changed):
    """Change the labels of some images."""
    images = json.loads(path.read_text())["images"]
    path.write_text(json.dumps({"images": {**images, **changed}}))


@pytest.fixture
def real(tmp_path):
    """A config whose images and labels are files."""
    for part, n_images in (("train", 3), ("val", 2)):
        (tmp_path / part).mkdir()
        names = [f"{number}.jpg" for number in range(n_images)]
        for number, name in enumerate(names):
            Image.new("RGB", (120, 80), (40 * number, 90, 60)).save(tmp_path / part / name)
        (tmp_path / f"{part}.json").write_text(
            json.dumps({"images": {name: words(POINTS) for name in names}})
        )
    (tmp_path / "real.yaml").write_text(REAL)
    return tmp_path


def assert_refused_before_a_trial(folder, optdet, error, *expected):
    """The message has its parts, and the run that it stopped has spent no trial."""
    for part in expected:
        assert part in error
    if (folder / "studies/optdet.db").exists():
        rows = json.loads(optdet("study", "list", "--json").out)
        assert [row["failed"] + row["running"] + row["finished"] for row in rows] == [0] * len(rows)


def test_sound_files_train(real, optdet):
    ran = optdet("train", "real.yaml")
    assert ran.code == 0
    assert "trial 0 complete" in ran.err


def test_a_missing_label_file(real, optdet):
    (real / "val.json").unlink()
    error = optdet("train", "real.yaml").error
    assert_refused_before_a_trial(real, optdet, error, "val.json: the label file does not exist; ")


def test_a_missing_image_folder(real, optdet):
    shutil.rmtree(real / "train")
    error = optdet("train", "real.yaml").error
    assert_refused_before_a_trial(real, optdet, error, str(real / "train"), "does not exist")


@pytest.mark.parametrize("keep", [0, 200])
def test_a_corrupt_jpeg(real, optdet, keep):
    picture = real / "train" / "1.jpg"
    picture.write_bytes(picture.read_bytes()[:keep])
    error = optdet("train", "real.yaml").error
    assert_refused_before_a_trial(real, optdet, error, "train/1.jpg", "replace")


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([[8, 10], [60, 10]], "2 points"),
        ([[8, float("nan")], [60, 10], [60, 30], [8, 30]], "point 0 holds nan"),
    ],
)
@pytest.mark.thin(1)
def test_bad_polygons_are_skipped_with_a_count_and_listed_by_check(real, optdet, points, reason):
    relabel(real / "train.json", **{"1.jpg": words(points, POINTS)})
    ran = optdet("train", "real.yaml")
    assert ran.code == 0
    assert "train.json" in ran.err
    assert reason in ran.err
    checked = optdet("data", "check", "real.yaml").out
    assert reason in checked
    assert "1.jpg" in checked


@pytest.mark.parametrize("points", [[[8, 10], [60, 10]], [[8, float("nan")], [60, 10], [60, 30], [8, 30]]])
def test_nothing_but_bad_polygons(real, optdet, points):
    relabel(real / "val.json", **{name: words(points) for name in ("0.jpg", "1.jpg")})
    error = optdet("train", "real.yaml").error
    assert_refused_before_a_trial(
        real, optdet, error, "val.json", "2 bad rows, the first at images/0.jpg/words/0"
    )


def test_a_file_name_that_leaves_its_folder(real, optdet):
    relabel(real / "train.json", **{"../val/0.jpg": words(POINTS)})
    error = optdet("train", "real.yaml").error
    assert_refused_before_a_trial(real, optdet, error, "train.json", "../val/0.jpg")


@pytest.mark.parametrize("empty", [words(), words(POINTS, text="###")])
def test_no_validation_words(real, optdet, empty):
    relabel(real / "val.json", **{"0.jpg": empty, "1.jpg": empty})
    error = optdet("train", "real.yaml").error
    assert_refused_before_a_trial(
        real, optdet, error, "val.json: no readable words", "name a label file with words"
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("optimizer.lrr=0.1", ["unknown setting 'optimizer.lrr'", "did you mean optimizer.lr"]),
        ("optimizer.lr=fast", ["optimizer.lr: 'fast' is no number"]),
        ("optimizer.lr=-1", ["optimizer.lr", "greater than 0"]),
        ("optimizer.lr", ["'optimizer.lr' is not an override", "write name=value"]),
        ("data.size=100", ["data.size", "multiple of 32"]),
        ("train.epochs=[1", ["override train.epochs"]),
        ("model.backbone=resnet5", ["timm has no backbone 'resnet5'", "did you mean resnet50"]),
    ],
)
@pytest.mark.parametrize("command", [["train", "real.yaml"], ["study", "create", "real.yaml"]])
def test_a_setting_that_cannot_be(real, optdet, command, change, expected):
    error = optdet(*command, change).error
    assert all(part in error for part in expected), error
    assert "real" not in optdet("study", "list").out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train: {epochs: 1", "real.yaml"),
        ("train: {epochs: 1}\ntrain: {epochs: 2}", "given twice"),
        ("- 1", "real.yaml"),
        ("trian: {epochs: 1}", "did you mean train"),
    ],
)
def test_a_file_that_is_no_config(real, optdet, text, expected):
    (real / "real.yaml").write_text(text)
    assert expected in optdet("train", "real.yaml").error


def test_a_config_that_is_not_there(tmp_path, optdet):
    assert "nothing.yaml" in optdet("train", "nothing.yaml").error
    assert "nothing.yaml" in optdet("study", "create", "nothing.yaml").error


def test_a_backbone_of_the_space_that_timm_does_not_have(tiny, optdet):
    study = tiny / "studies/tiny.yaml"
    bad = "model.backbone: {type: categorical, choices: [test_efficientnet, efficientnet_b44]}"
    study.write_text(study.read_text().replace("space:\n", f"space:\n  {bad}\n"))
    error = optdet("study", "create", "studies/tiny.yaml").error
    assert "timm has no backbone 'efficientnet_b44'" in error
    assert "efficientnet_b4" in error


@pytest.mark.slow
def test_pretrained_weights_that_cannot_be_had_are_said_at_once(tiny, optdet):
    assert optdet("study", "create", "studies/tiny.yaml", "model.pretrained=true").code == 0
    no_weights = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tiny / "empty"), "OMP_NUM_THREADS": "1"}
    no_weights.pop("OPTDET_STORAGE", None)
    command = [sys.executable, "-m", "optdet", "study", "run", "tiny"]
    started = time.monotonic()
    ran = subprocess.run(command, cwd=tiny, env=no_weights, capture_output=True, text=True, check=False)
    assert time.monotonic() - started < 60
    assert ran.returncode == 1
    last = ran.stderr.splitlines()[-1]
    assert last.startswith("error: model.pretrained: the pretrained weights of backbone 'test_efficientnet'")
    assert "set model.pretrained=false, or model.weights=FILE with a local state dict; a study keeps" in last
    assert last.endswith("add it to `optdet study create`, with --name")
    assert "trial 0" not in ran.stderr


def test_weights_that_do_not_fit_stop_the_run_before_a_trial(tiny, optdet):
    (tiny / "weights.pt").write_bytes(b"not weights")
    error = optdet("train", "configs/tiny.yaml", "model.weights=weights.pt").error
    assert_refused_before_a_trial(tiny, optdet, error, "weights.pt", "cannot be read as PyTorch weights")


def test_a_full_study_needs_its_images_no_more(real, optdet):
    """What is finished is shown, whatever has become of the files that it was made from."""
    assert optdet("train", "real.yaml").code == 0
    shutil.rmtree(real / "train")
    ran = optdet("study", "run", "real")
    assert ran.code == 0
    assert "real is full: 1 of 1 trials" in ran.out
    assert str(real / "train") in optdet("study", "run", "real", "--trials", "2").error


@pytest.mark.parametrize("command", ["run", "show", "best", "export"])
def test_an_unknown_study(studied, optdet, command):
    error = optdet("study", command, "tinny", cwd=studied[0]).error
    assert "no study named 'tinny'" in error
    assert "did you mean tiny?" in error


def test_no_study_yet(tmp_path, optdet):
    assert "optdet study create" in optdet("study", "run").error
    assert not (tmp_path / "studies").exists()


@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        ("mysql://somewhere/studies", "studies cannot be kept in mysql"),
        ("sqlite://studies.db", "three slashes"),
        ("not-a-database", "not a SQLite database"),
        ("postgresql://user:secret@localhost:1/studies", "postgresql+psycopg://user:***@localhost:1/studies"),
        ("file-in-the-way/optdet.db", "file-in-the-way"),
    ],
)
def test_a_storage_that_cannot_be_opened(tiny, optdet, storage, expected):
    (tiny / "not-a-database").write_text("a text, and a long one")
    (tiny / "file-in-the-way").write_text("")
    error = optdet("study", "create", "studies/tiny.yaml", "--storage", storage).error
    assert expected in error
    assert "secret" not in error
    assert (tiny / "not-a-database").read_text() == "a text, and a long one"


def test_another_study_of_the_same_name(tiny, optdet):
    assert optdet("study", "create", "studies/tiny.yaml").code == 0
    assert optdet("study", "create", "studies/tiny.yaml").out.startswith("exists")
    error = optdet("study", "create", "studies/tiny.yaml", "train.epochs=3").error
    assert "train.epochs: 2 there, 3 here" in error
    assert "--name tiny-2" in error
    assert json.loads(optdet("study", "show", "tiny", "--json").out)["trials_wanted"] == 2


def test_a_timeout_that_is_no_time(studied, optdet):
    ran = optdet("study", "run", "--timeout", "soon", cwd=studied[0])
    assert ran.code == 2
    assert "'soon' is not a time; write 8h" in ran.err


def test_a_trial_total_below_one_is_wrong_usage(studied, optdet):
    assert optdet("study", "run", "--trials", "0", cwd=studied[0]).code == 2


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("thrsh=0.3", "no threshold is named 'thrsh'; they are thresh, box_thresh"),
        ("thresh=7", "less than or equal to 1"),
        ("thresh", "'thresh' is no threshold; write name=value, as thresh=0.24"),
    ],
)
def test_a_wrong_threshold_for_predict(studied, optdet, tmp_path, change, expected):
    out = tmp_path / "predictions.csv"
    ran = optdet("predict", "tiny", "--images", "nowhere", "--out", out, "-t", change, cwd=studied[0])
    assert expected in ran.error
    assert not out.exists()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("tiny:99", "there is no trial 99"),
        ("tiny:last", "not a trial number"),
        ("gone.pt", "no such checkpoint"),
        ("tinny", "did you mean tiny?"),
    ],
)
def test_a_source_that_is_not_there(studied, optdet, tmp_path, source, expected):
    ran = optdet("predict", source, "--images", tmp_path, "--out", tmp_path / "p.csv", cwd=studied[0])
    assert expected in ran.error


def test_an_export_into_a_folder_that_is_not_there(studied, optdet, tmp_path):
    error = optdet("study", "export", "--out", tmp_path / "nowhere/trials.csv", cwd=studied[0]).error
    assert str(tmp_path / "nowhere/trials.csv") in error
    assert "check the folder" in error


def test_best_of_nothing(tiny, optdet):
    optdet("study", "create", "studies/tiny.yaml")
    assert "no trial is complete yet; run it: optdet study run tiny" in optdet("study", "best").error


def test_debug_shows_the_traceback_above_the_line(tmp_path, optdet):
    ran = optdet("--debug", "train", "nothing.yaml")
    assert ran.code == 1
    assert "Traceback" in ran.err
    assert ran.err.splitlines()[-1].startswith("error: ")


def test_wrong_usage_is_exit_2(tmp_path, optdet):
    assert optdet("nonsense").code == 2
    assert optdet("study", "run", "--nonsense").code == 2
    assert optdet("predict", "tiny").code == 2


@pytest.mark.parametrize(
    "command",
    [
        ("study", "list"),
        ("study", "show"),
        ("study", "best"),
        ("study", "run"),
        ("study", "create"),
        ("study", "backup"),
        ("study", "export"),
        ("predict", "mine", "--images", ".", "--out", "out.csv"),
        ("trial", "pack", "mine:0"),
        ("dashboard", "--port", "0"),
    ],
)
@pytest.mark.thin(3)
def test_a_database_of_a_newer_optdet(tmp_path, optdet, command):
    file = tmp_path / "studies" / "optdet.db"
    close_storage(open_storage(file))
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("INSERT INTO optdet_version VALUES (7, '9.1.0')")
    error = optdet(*command).error
    assert "made by optdet 9.1.0 (schema 7)" in error
    assert error.endswith("upgrade optdet, or name another database with --storage")
    assert not (tmp_path / "out.csv").exists()
    assert [path.name for path in file.parent.glob("optdet-*.db")] == []


def test_an_interrupt_before_the_command_begins(optdet, tmp_path, monkeypatch):
    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("optdet.cli.app.app", interrupted)
    ran = optdet("study", "run", cwd=tmp_path)
    assert (ran.code, ran.out, ran.err) == (130, "", "interrupted\n")


def test_a_worker_whose_gpu_is_lost_ends_so_that_it_is_started_again(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def lose(*_: object) -> None:
        raise CardLost("the GPU does nothing more", where="trial 3", fix="run the study again")

    monkeypatch.setattr(running, "_run", lose)
    monkeypatch.setattr(running, "_best_of", lambda *_: None)
    monkeypatch.setattr(workers, "end_with_starter", lambda: None)  # nobody started this process
    nothing: Any = None
    with pytest.raises(typer.Exit) as ended:
        running.run_as_worker(nothing, Given())
    assert ended.value.exit_code == workers.START_AGAIN
    assert capfd.readouterr().err == "trial 3: the GPU does nothing more; run the study again\n"
