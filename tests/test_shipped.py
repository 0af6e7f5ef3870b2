"""The configs and studies that come with optdet: all valid, and with the values that they promise."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from optdet.config_io import load_config
from optdet.search_space import Choice, FloatRange
from optdet.shipped import quickstart_file, shipped_folder
from optdet.structures import Thresholds
from optdet.study_io import load_study

CONFIGS = sorted(path.name for path in shipped_folder("configs").glob("*.yaml"))
CANDIDATES = "postproc_nine.yaml"  # a list of thresholds, not a study
OTHERS = {path.name for path in shipped_folder("studies").glob("playbook_*.yaml")} | {CANDIDATES}
STUDIES = sorted(path.name for path in shipped_folder("studies").glob("*.yaml") if path.name not in OTHERS)
FOCUSED = {
    "optimizer.lr": FloatRange(type="float", low=0.0002, high=0.0006, log=True),
    "optimizer.weight_decay": FloatRange(type="float", low=0.00005, high=0.0005, log=True),
    "scheduler.t_max": Choice(type="categorical", choices=(18, 20, 22)),
}


def config(name):
    return load_config(shipped_folder("configs") / f"{name}.yaml")


def study(name):
    return load_study(shipped_folder("studies") / f"{name}.yaml")


def test_what_is_shipped():
    assert CONFIGS == [
        "efficientnet_b4.yaml",
        "hrnet_w44.yaml",
        "quickstart.yaml",
        "resnet101.yaml",
        "resnet50.yaml",
    ]
    assert STUDIES == [
        "efficientnet_b4_focused.yaml",
        "efficientnet_b4_hyperband.yaml",
        "lr_retune.yaml",
        "quickstart.yaml",
        "resolution.yaml",
    ]
    assert sorted(OTHERS) == ["playbook_efficientnet_b4.yaml", "playbook_quickstart.yaml", CANDIDATES]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_is_valid_with_a_backbone_that_timm_has(name):
    timm = pytest.importorskip("timm")
    path = shipped_folder("configs") / name
    loaded = load_config(path)
    assert timm.is_model(loaded.model.backbone)
    assert load_study(path).trials == 1


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_is_valid_and_named_as_its_file(name):
    loaded = load_study(shipped_folder("studies") / name)
    assert f"{loaded.name}.yaml" == name
    assert loaded.space
    assert loaded.description


def test_efficientnet_b4_has_the_settings_of_a_competition_team():
    settings = config("efficientnet_b4")
    assert settings.model.backbone == "efficientnet_b4"
    assert settings.model.pretrained
    assert (settings.optimizer.name, settings.optimizer.lr, settings.optimizer.weight_decay) == (
        "adam",
        3e-4,
        1e-4,
    )
    assert (settings.scheduler.name, settings.scheduler.t_max, settings.scheduler.eta_min) == (
        "cosine",
        22,
        1e-5,
    )
    assert (settings.data.size, settings.train.batch_size) == (960, 4)
    assert settings.postprocess.thresholds() == Thresholds(
        thresh=0.22, box_thresh=0.25, unclip_ratio=1.5, max_candidates=600, use_polygon=False, min_side=3.0
    )


@pytest.mark.parametrize("name", ["resnet50", "resnet101", "hrnet_w44"])
def test_the_larger_backbones_take_1024_pixels(name):
    settings = config(name)
    assert settings.model.backbone == name
    assert settings.data.size == 1024
    assert settings.model.pretrained


def test_resolutions_are_compared_at_equal_updates():
    loaded = study("resolution")
    (sizes,) = loaded.space.values()
    assert sizes.choices == (640, 896, 1024, 1280)
    assert (loaded.sampler.name, loaded.pruner.name, loaded.trials) == ("grid", "none", 4)
    train = loaded.config.train
    assert (train.batch_size, train.checkpoint) == ("auto", "fixed")
    assert train.updates
    assert loaded.config.scheduler.t_max is None  # the cosine ends with the updates, not with an epoch


@pytest.mark.parametrize("name", ["efficientnet_b4_focused", "efficientnet_b4_hyperband"])
def test_the_focused_search(name):
    loaded = study(name)
    assert loaded.space == FOCUSED
    assert loaded.trials == 15
    assert loaded.config.train.epochs == 20
    assert loaded.config.optimizer.name == "adam"
    inner = loaded.base_config().postprocess.tune.space
    assert (inner.thresh.low, inner.thresh.high) == (0.20, 0.28)
    assert (inner.box_thresh.low, inner.box_thresh.high) == (0.22, 0.32)
    assert inner.max_candidates.choices == (500, 600, 700)
    assert inner.use_polygon.choices == (False,)


def test_the_pruners_of_the_focused_search():
    median, hyperband = study("efficientnet_b4_focused").pruner, study("efficientnet_b4_hyperband").pruner
    assert (median.name, median.n_warmup_epochs) == ("median", 8)
    assert (hyperband.name, hyperband.min_epochs, hyperband.eta) == ("hyperband", 8, 2)


def test_lr_retune_tries_three_rates_before_it_closes_in():
    loaded = study("lr_retune")
    assert [dict(params) for params in loaded.queue] == [{"optimizer.lr": lr} for lr in (3e-4, 4e-4, 2.5e-4)]
    assert loaded.space == {"optimizer.lr": FloatRange(type="float", low=0.00035, high=0.0004)}
    assert loaded.config.train.epochs == 22
    assert loaded.trials > len(loaded.queue)


def test_the_quickstart_needs_no_download_and_prunes():
    loaded = load_study(quickstart_file())
    assert loaded.name == "quickstart"
    assert loaded.trials == 20
    assert not loaded.config.model.pretrained
    assert loaded.config.data.synthetic is not None
    assert loaded.pruner.name == "median"
    assert loaded.sampler.name == "tpe"
    assert loaded.pruner.n_warmup_epochs < loaded.config.train.epochs


def test_every_package_goes_into_the_wheel():
    root = Path(__file__).parent.parent
    settings = configparser.ConfigParser()
    settings.read(root / "setup.cfg")
    named = settings["options"]["packages"].split()
    there = sorted(
        ".".join(path.parent.relative_to(root).parts) for path in (root / "optdet").rglob("__init__.py")
    )
    assert sorted(named) == sorted([*there, "optdet.configs", "optdet.studies"])
