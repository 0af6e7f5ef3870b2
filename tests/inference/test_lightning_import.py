"""An imported detector predicts what it predicted at its home."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import baseline_home
import numpy as np
import pytest
import torch
from PIL import Image

from optdet.config import Config
from optdet.config_io import load_config
from optdet.detection.postprocess import MapDetector
from optdet.errors import OptdetError
from optdet.inference.detector import open_checkpoint
from optdet.inference.lightning_import import Imported, import_checkpoint
from optdet.structures import Thresholds

CPU = torch.device("cpu")
BACKBONE = baseline_home.BACKBONE


@pytest.fixture(scope="module")
def home() -> dict[str, torch.Tensor]:
    return baseline_home.tensors()


@pytest.fixture
def ckpt(home: dict[str, torch.Tensor], tmp_path: Path) -> Path:
    return baseline_home.save(tmp_path / "home.ckpt", home)


def imported(ckpt: Path, *overrides: str, **options: Any) -> Imported:
    return import_checkpoint(ckpt, ckpt.with_suffix(".pt"), overrides, **{"backbone": BACKBONE, **options})


def page(width: int, height: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    fine = rng.integers(-30, 30, (height, width, 3))
    return np.clip(np.array(coarse.resize((width, height))) + fine, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("width", "height"), [(300, 171), (211, 401), (60, 50)])
def test_maps_and_polygons_are_those_of_the_home(
    home: dict[str, torch.Tensor], ckpt: Path, width: int, height: int
) -> None:
    detector = open_checkpoint(imported(ckpt, "data.size=128").out, CPU).detector
    image = page(width, height)
    Image.fromarray(image).save(ckpt.with_suffix(".png"))
    place = detector.preprocessing.letterbox(ckpt.with_suffix(".png"))
    ours = detector.unrounded_map(place.draw(image))
    theirs = baseline_home.prob_map(home, image, size=128)
    assert np.ptp(theirs) > 0.5
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(detector.prob_map(place.draw(image)), ours.astype(np.float16))
    thresholds = Thresholds(float(np.median(theirs)) + 0.01, 0.1, 1.5, 1000, False, 3.0)
    found, expected = (MapDetector(each, place).detect(thresholds) for each in (ours, theirs))
    assert len(expected) > 0
    for polygon, other in zip(found.polygons, expected.polygons, strict=True):
        np.testing.assert_array_equal(polygon, other)


def test_another_filter_would_give_other_maps(home: dict[str, torch.Tensor], ckpt: Path) -> None:
    detector = open_checkpoint(imported(ckpt, "data.size=128", "data.interpolation=area").out, CPU).detector
    image = page(300, 171)
    Image.fromarray(image).save(ckpt.with_suffix(".png"))
    ours = detector.unrounded_map(detector.preprocessing.letterbox(ckpt.with_suffix(".png")).draw(image))
    assert np.abs(ours - baseline_home.prob_map(home, image, size=128)).max() > 0.01


def test_what_the_file_does_not_say_is_the_baselines(ckpt: Path) -> None:
    found = imported(ckpt)
    data = found.config.data
    assert (data.size, data.interpolation, data.pad) == (640, "bilinear", "center")
    assert (data.mean, data.std) == (Config().data.mean, Config().data.std)
    assert found.config.model.inner_channels == 16
    assert not found.config.model.pretrained
    assert found.epoch == 8
    assert any("does not say the canvas's side: 640" in note for note in found.notes)
    assert any("no thresholds" in note for note in found.notes)
    trained = open_checkpoint(found.out, CPU)
    assert trained.config == found.config
    assert trained.thresholds == Config().postprocess.thresholds()


def test_hyperparameters_are_taken(home: dict[str, torch.Tensor], tmp_path: Path) -> None:
    hyper = {
        "config": {
            "models": {
                "encoder": {"model_name": BACKBONE, "pretrained": True},
                "head": {"k": 40, "postprocess": {"thresh": 0.22, "box_thresh": 0.25, "max_candidates": 600}},
                "optimizer": {"_target_": "torch.optim.AdamW", "lr": 3e-4},
                "scheduler": {"_target_": "torch.optim.lr_scheduler.StepLR", "T_max": 22},
            },
            "transforms": {"train": [{"max_size": 128, "p": 1.0}], "val": [{"max_size": 128}]},
            "trainer": {"max_epochs": 0},
        }
    }
    path = baseline_home.save(tmp_path / "home.ckpt", home, hyper_parameters=hyper)
    found = imported(path, backbone=None)
    config = found.config
    assert (config.model.backbone, config.model.k, config.data.size) == (BACKBONE, 40, 128)
    assert config.postprocess.thresholds() == Thresholds(0.22, 0.25, 1.5, 600, False, 3.0)
    assert (config.optimizer.name, config.optimizer.lr, config.scheduler.t_max) == ("adamw", 3e-4, 22)
    assert open_checkpoint(found.out, CPU).thresholds.max_candidates == 600
    assert found.taken["postprocess.thresh"] == "config.models.head.postprocess.thresh"
    assert found.taken["model.backbone"] == "the hyperparameters"
    refused = [note for note in found.notes if " is no " in note]
    assert len(refused) == 2  # the schedule that we lack, and no epoch at all
    assert not any("no thresholds" in note or "does not say" in note for note in found.notes)


def test_what_is_given_wins(home: dict[str, torch.Tensor], tmp_path: Path) -> None:
    hyper = {"models": {"head": {"thresh": 0.2}, "encoder": {"model_name": "resnet18"}}, "max_size": 128}
    path = baseline_home.save(tmp_path / "home.ckpt", home, hyper_parameters=hyper)
    found = imported(path, "data.size=96", "postprocess.thresh=0.4")
    assert (found.config.data.size, found.config.postprocess.thresh) == (96, 0.4)
    assert found.config.model.backbone == BACKBONE


def test_what_concerns_its_training_alone_is_no_loss(home: dict[str, torch.Tensor], tmp_path: Path) -> None:
    hyper = {
        "datasets": {"fold": 1},
        "trainer": {"gradient_clip_val": None, "max_epochs": 0},
        "models": {"head": {"thresh": 7}},
    }
    path = baseline_home.save(tmp_path / "home.ckpt", home, hyper_parameters=hyper)
    refused = [note for note in imported(path).notes if " is no " in note]
    assert refused == [
        "trainer.max_epochs 0 is no train.epochs",
        "models.head.thresh 7 is no postprocess.thresh",
    ]


@pytest.mark.parametrize("override", ["model.backbone=4", "optimizer.lr=fast", "data.size=100"])
def test_an_override_that_is_none_is_named(ckpt: Path, override: str) -> None:
    name = override.partition("=")[0]
    with pytest.raises(OptdetError, match=rf"^override {override}: {name}: "):
        import_checkpoint(ckpt, ckpt.with_suffix(".pt"), [override])
    assert not ckpt.with_suffix(".pt").exists()


def test_a_config_goes_on_from_it(ckpt: Path, tmp_path: Path) -> None:
    place = tmp_path / "configs/home.yaml"
    found = imported(ckpt, "data.size=96", config_out=place)
    config = load_config(tmp_path / "configs/home.yaml")
    assert config.train.start == str(found.out)
    assert (config.model, config.data) == (found.config.model, found.config.data)
    found.out.unlink()
    with pytest.raises(OptdetError, match=r"home\.yaml: the file exists"):
        imported(ckpt, config_out=place)
    assert not found.out.exists()


def test_nothing_is_written_or_replaced_when_it_fails(ckpt: Path, home: dict[str, torch.Tensor]) -> None:
    out = ckpt.with_suffix(".pt")
    with pytest.raises(OptdetError, match="its encoder is not resnet18"):
        imported(ckpt, backbone="resnet18")
    with pytest.raises(OptdetError, match="timm has no backbone 'resnet_18'"):
        imported(ckpt, backbone="resnet_18")
    with pytest.raises(OptdetError, match=r"data\.size"):
        imported(ckpt, "data.size=100")
    assert not out.exists()
    imported(ckpt)
    written = out.read_bytes()
    with pytest.raises(OptdetError, match="the file exists"):
        imported(ckpt)
    imported(ckpt, force=True)
    assert out.read_bytes() == written  # the same file gives the same bytes


def test_as_json(ckpt: Path) -> None:
    shown = json.loads(json.dumps(imported(ckpt).as_json()))
    assert shown["backbone"] == BACKBONE
    assert shown["preprocessing"]["interpolation"] == "bilinear"
    assert set(shown) == {"checkpoint", "backbone", "preprocessing", "thresholds", "taken", "epoch", "notes"}
