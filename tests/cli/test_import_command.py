"""``optdet import``: the file becomes a SOURCE, and a start for training."""

from __future__ import annotations

import json

import baseline_home
import numpy as np
import pytest
from PIL import Image

from optdet.data.predictions import read_predictions


@pytest.fixture
def project(tmp_path):
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
    coarse.resize((240, 180), Image.Resampling.NEAREST).save(tmp_path / "images/page.png")
    baseline_home.save(tmp_path / "home.ckpt", baseline_home.tensors())
    return tmp_path


IMPORT = ("import", "home.ckpt", "--backbone", "test_efficientnet", "--size", "96")


def test_import_and_predict(project, optdet):
    page = np.array(Image.open(project / "images/page.png"))
    middle = float(np.median(baseline_home.prob_map(baseline_home.tensors(), page, size=96)))
    ran = optdet(*IMPORT, f"models.head.thresh={middle:.4f}", "models.head.box_thresh=0.01")
    assert ran.code == 0, ran.err
    assert "models.head.thresh -> postprocess.thresh" in ran.err
    assert "home.ckpt, after epoch 8: test_efficientnet" in ran.out
    assert "96 x 96, bilinear, padded center" in ran.out
    predicted = optdet("predict", "home.pt", "--images", "images", "--out", "out.csv")
    assert predicted.code == 0, predicted.err
    assert f"home.pt at thresh {middle:.4g}, box_thresh 0.01" in predicted.err
    assert len(read_predictions(project / "out.csv")["page.png"]) > 0


def test_json_alone_is_on_stdout(project, optdet):
    ran = optdet(*IMPORT, "--out", "ours.pt", "--json")
    assert json.loads(ran.out)["checkpoint"] == "ours.pt"


def test_training_goes_on_from_it(project, optdet):
    data = "data.synthetic={train: 3, val: 2, image_size: 192}"
    assert optdet(*IMPORT, "--write", "configs/home.yaml", data, "data.workers=0").code == 0
    quick = (
        "train.epochs=1",
        "train.batch_size=3",
        "postprocess.tune.method=none",
        "train.epoch_thresholds=current",
    )
    ran = optdet("train", "configs/home.yaml", *quick, "models.optimizer.lr=0.0004")
    assert ran.code == 0, ran.err
    assert "models.optimizer.lr -> optimizer.lr" in ran.err
    assert "beginning with the weights of home.pt" in ran.out + ran.err
    (project / "home.pt").unlink()
    gone = optdet("train", "configs/home.yaml", *quick, "train.epochs=2")
    assert "home.pt: the checkpoint cannot be read" in gone.error


def test_errors_are_one_line(project, optdet):
    (project / "cut.ckpt").write_bytes((project / "home.ckpt").read_bytes()[:5000])
    assert "cut.ckpt: damaged" in optdet("import", "cut.ckpt").error
    assert "is no" not in optdet("import", "missing.ckpt").error
    assert "its encoder is not resnet18" in optdet("import", "home.ckpt", "--backbone", "resnet18").error
    assert "train.epoch" in optdet(*IMPORT, "train.epoch=3").error
    assert not list(project.glob("*.pt"))
