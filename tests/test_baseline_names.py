"""The baseline's names of settings: what the table gives for them are settings of ours, and their values."""

from __future__ import annotations

import pytest

from optdet import baseline_names
from optdet.baseline_names import our_setting, rename_overrides, without_counterpart
from optdet.config import Config
from optdet.config_io import config_from, set_dotted
from optdet.setting_names import setting_names

OURS = list(setting_names(Config))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("models.optimizer.lr", "optimizer.lr"),
        ("models.optimizer.weight_decay", "optimizer.weight_decay"),
        ("models.head.thresh", "postprocess.thresh"),
        ("models.head.postprocess.thresh", "postprocess.thresh"),
        ("models.head.postprocess.box_thresh", "postprocess.box_thresh"),
        ("models.head.max_candidates", "postprocess.max_candidates"),
        ("models.head.postprocess.use_polygon", "postprocess.use_polygon"),
        ("models.head.postprocess.polygon_unclip_ratio", "postprocess.polygon_unclip_ratio"),
        ("models.head.k", "model.k"),
        ("models.scheduler.T_max", "scheduler.t_max"),
        ("models.scheduler.eta_min", "scheduler.eta_min"),
        ("models.loss.prob_map_loss_weight", "loss.prob_weight"),
        ("models.loss.negative_ratio", "loss.negative_ratio"),
        ("models.encoder.model_name", "model.backbone"),
        ("trainer.max_epochs", "train.epochs"),
        ("data.batch_size", "train.batch_size"),
        ("datasets.batch_size", "train.batch_size"),
        ("dataloaders.train_dataloader.batch_size", "train.batch_size"),
        ("dataloaders.train_dataloader.num_workers", "data.workers"),
        ("seed", "seed"),
    ],
)
def test_a_name_of_the_baseline(theirs: str, ours: str) -> None:
    found = our_setting(theirs)
    assert found is not None
    assert found.name == ours
    assert ours in OURS


@pytest.mark.parametrize(
    "name",
    [
        "models.optimizer.momentum",
        "models.head.postprocess.colour",
        "dataloaders.val_dataloader.batch_size",
        "dataloaders.test_dataloader.batch_size",
        "models.optimizer",
        "unknown.setting",
        "",
    ],
)
def test_other_names_are_not_guessed(name: str) -> None:
    assert our_setting(name) is None


def test_every_setting_that_the_table_names_is_one() -> None:
    # Folds are a setting where an optdet has them.
    assert set(baseline_names._SETTINGS.values()) - {"data.fold"} <= set(OURS)
    for name, classes in baseline_names._CLASSES.items():
        for value in classes.values():
            config_from(set_dotted({}, name, value))


def test_a_class_becomes_our_value_or_is_refused() -> None:
    optimizer = our_setting("models.optimizer._target_")
    assert optimizer is not None
    assert optimizer.value("torch.optim.AdamW") == "adamw"
    with pytest.raises(ValueError, match="SGD is none of Adam, AdamW"):
        optimizer.value("torch.optim.SGD")


def test_overrides_in_either_language() -> None:
    given = [
        "models.optimizer.lr=0.0004",
        "optimizer.lr=1",
        "+models.scheduler.T_max=20",
        "seed=3",
        "x=1",
        "nosign",
    ]
    ours, notes = rename_overrides(given, OURS)
    assert ours == ["optimizer.lr=0.0004", "optimizer.lr=1", "scheduler.t_max=20", "seed=3", "x=1", "nosign"]
    assert notes == ["models.optimizer.lr -> optimizer.lr", "models.scheduler.T_max -> scheduler.t_max"]
    assert rename_overrides(["models.optimizer._target_=torch.optim.Adam"], OURS)[0] == [
        "optimizer.name=adam"
    ]
    assert rename_overrides(["models.optimizer._target_=SGD"], OURS)[0] == ["optimizer.name=SGD"]
    assert rename_overrides(["models.head.thresh=0.2"], ["optimizer.lr"]) == (["models.head.thresh=0.2"], [])


def test_what_needs_no_setting_is_said() -> None:
    assert "CONFIG" in str(without_counterpart("preset"))
    assert without_counterpart("unknown.setting") is None
