"""The names that the competition's DB baseline has for settings, and ours.

The baseline is a Hydra program on PyTorch Lightning; its settings have dotted names, as
``models.optimizer.lr``, in overrides, in W&B sweeps of it and among the hyperparameters that its checkpoints
may hold. Everything that reads them asks here. A name that is one of ours stays as it is.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

_SETTINGS: Final[Mapping[str, str]] = {
    "seed": "seed",
    "models.encoder.model_name": "model.backbone",
    "models.encoder.pretrained": "model.pretrained",
    "models.decoder.inner_channels": "model.inner_channels",
    "models.head.k": "model.k",
    "models.loss.prob_map_loss_weight": "loss.prob_weight",
    "models.loss.thresh_map_loss_weight": "loss.thresh_weight",
    "models.loss.binary_map_loss_weight": "loss.binary_weight",
    "models.loss.negative_ratio": "loss.negative_ratio",
    "models.optimizer._target_": "optimizer.name",
    "models.optimizer.lr": "optimizer.lr",
    "models.optimizer.weight_decay": "optimizer.weight_decay",
    "models.scheduler._target_": "scheduler.name",
    "models.scheduler.T_max": "scheduler.t_max",
    "models.scheduler.eta_min": "scheduler.eta_min",
    "trainer.max_epochs": "train.epochs",
    "trainer.gradient_clip_val": "train.clip_norm",
    "trainer.accumulate_grad_batches": "train.accumulate",
    "datasets.fold": "data.fold",
    "data.fold": "data.fold",
}
_THRESHOLDS: Final = (
    "thresh",
    "box_thresh",
    "unclip_ratio",
    "polygon_unclip_ratio",
    "max_candidates",
    "use_polygon",
    "min_side",
)
_OTHER_THRESHOLDS: Final[Mapping[str, str]] = {"min_size": "min_side", "polygon": "use_polygon"}

_BATCH_SIZE = re.compile(r"data(?!.*(val|test|predict))\w*(\.\w+)*\.batch_size")
_WORKERS = re.compile(r"data(?!.*(val|test|predict))\w*(\.\w+)*\.num_workers")
_HEAD = re.compile(r"models\.head(\.postprocess)?\.(\w+)")

_CLASSES: Final[Mapping[str, Mapping[str, str]]] = {
    "optimizer.name": {"Adam": "adam", "AdamW": "adamw"},
    "scheduler.name": {"CosineAnnealingLR": "cosine", "ConstantLR": "constant"},
}
"""Where theirs is the path of a class: our value by the class's own name."""

_WITHOUT_COUNTERPART: Final[Mapping[str, str]] = {
    "preset": "it names a config of the baseline: CONFIG stands in its place",
    "trainer.devices": "see `study run --workers`",
    "trainer.accelerator": "see `study run --device`",
    "trainer.strategy": "see `study run --workers`",
    "trainer.precision": "see train.amp",
    "trainer.logger": "every trial is recorded",
    "exp_name": "a study has a name: --name",
    "project_name": "a study has a name: --name",
    "exp_version": "a study has a name: --name",
    "wandb": "every trial is recorded",
}
"""Names of the baseline that say nothing about a detector, and what there is in their place."""


@dataclass(frozen=True, slots=True)
class Renamed:
    """A setting in our words. ``value`` puts a value of theirs into ours; ValueError for one we lack."""

    name: str
    value: Callable[[Any], Any]


def our_setting(name: str) -> Renamed | None:
    """Ours for a setting of the baseline; None for a name that it does not have, or that is not known."""
    ours = _SETTINGS.get(name)
    if ours is None and (head := _HEAD.fullmatch(name)):
        leaf = _OTHER_THRESHOLDS.get(head[2], head[2])
        ours = f"postprocess.{leaf}" if leaf in _THRESHOLDS else None
    if ours is None and _BATCH_SIZE.fullmatch(name):
        ours = "train.batch_size"
    if ours is None and _WORKERS.fullmatch(name):
        ours = "data.workers"
    if ours is None:
        return None
    classes = _CLASSES.get(ours)
    return Renamed(ours, _unchanged if classes is None else lambda value: _class_named(value, classes))


def without_counterpart(name: str) -> str | None:
    """What to say of a name of the baseline that needs no setting; None for any other."""
    return _WITHOUT_COUNTERPART.get(name)


def rename_overrides(overrides: Iterable[str], known: Iterable[str]) -> tuple[list[str], list[str]]:
    """``name=value`` texts with the baseline's names replaced by ours, and what was replaced, a line each:
    ``models.optimizer.lr -> optimizer.lr``. Names in ``known`` are ours and stay. A class that we have no
    value for is left to whoever reads the setting, who says so.
    """
    ours, notes = [], []
    own = set(known)
    for override in overrides:
        given, sign, value = override.partition("=")
        name = given.strip().lstrip("+")  # Hydra's mark of a name that its config lacks
        renamed = our_setting(name) if sign and given.strip() not in own else None
        if renamed is None or renamed.name not in own or renamed.name == given.strip():
            ours.append(override)
            continue
        with contextlib.suppress(ValueError):
            value = str(renamed.value(value))
        ours.append(f"{renamed.name}={value}")
        notes.append(f"{name} -> {renamed.name}")
    return ours, notes


def _unchanged(value: Any) -> Any:
    return value


def _class_named(value: Any, classes: Mapping[str, str]) -> str:
    name = str(value).rpartition(".")[2]
    if name not in classes:
        raise ValueError(f"{name} is none of {', '.join(classes)}")
    return classes[name]
