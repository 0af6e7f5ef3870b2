"""What a trial says of itself in Optuna's database: how it was made, and what came of it."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from typing import Any

import optuna
import torch
from optuna.storages import RDBStorage

from optdet.config import Config
from optdet.data.sets import DataSets
from optdet.evaluation.evaluate import Evaluation
from optdet.evaluation.height_scores import HeightScore
from optdet.inference.device import device_text
from optdet.store.attribute_rows import set_user_attributes
from optdet.training.fit import FitResult
from optdet.training.history import EpochRecord
from optdet.tuning import attributes as attr
from optdet.tuning.tried import Tuned


def set_attributes(storage: RDBStorage, trial: optuna.Trial, values: dict[str, Any]) -> None:
    """Those that are new or other than before: a trial that goes on writes them once more."""
    known = trial.user_attrs
    changed = {name: value for name, value in values.items() if name not in known or known[name] != value}
    if changed:
        set_user_attributes(storage, trial._trial_id, changed)
        trial._cached_frozen_trial.user_attrs.update(changed)  # what the trial itself answers with


def start_attributes(config: Config, sets: DataSets, device: torch.device) -> dict[str, Any]:
    """What a trial is, from its start."""
    return {
        attr.CONFIG: config.model_dump(mode="json"),
        attr.SEED: config.seed,
        attr.DATA_FINGERPRINT: sets.fingerprint,
        attr.VERSIONS: _versions(),
        attr.DEVICE: device_text(device),
    }


def source_attribute(record: EpochRecord) -> dict[str, Any]:
    """An epoch's images and loss by source."""
    return {"epoch": record.epoch, "sources": [asdict(source) for source in record.sources]}


def end_attributes(
    *,
    fitted: FitResult,
    tuned: Tuned,
    evaluation: Evaluation,
    heights: Sequence[HeightScore],
    checkpoint: str,
    map_key: str,
    tuning_seconds: float,
) -> dict[str, Any]:
    """What came of it: plain values, for JSON."""
    scores = evaluation.scores
    history = fitted.history
    speeds = [record.images_per_s for record in history if record.images_per_s > 0]
    peaks = [record.peak_bytes for record in history if record.peak_bytes is not None]
    return {
        attr.THRESHOLDS: tuned.chosen.thresholds.as_dict(),
        attr.SCORES: scores.as_json(),
        attr.CROSSFIT: tuned.choice.crossfit,
        attr.INTERVAL: list(evaluation.interval()),
        attr.CHECKPOINT: checkpoint,
        attr.MAP_KEY: map_key,
        attr.EPOCHS: history[-1].epoch,
        attr.BEST_EPOCH: fitted.best.epoch,
        attr.UPDATES: next(each.updates for each in history if each.epoch == fitted.best.epoch),
        attr.SECONDS: round(sum(record.seconds for record in history) + tuning_seconds, 1),
        attr.IMAGES_PER_S: round(sum(speeds) / len(speeds), 1) if speeds else None,
        attr.PEAK_MEMORY: round(max(peaks) / 1e9, 2) if peaks else None,
        attr.BY_HEIGHT: [each.as_json() for each in heights],
        attr.PRECISION: scores.competition.macro.precision,
        attr.RECALL: scores.competition.macro.recall,
        attr.OFFICIAL_HMEAN: scores.official.macro.hmean,
    }


@cache
def _versions() -> dict[str, str]:
    names = ("optdet", "torch", "timm", "optuna", "albumentations", "opencv-python-headless", "numpy")
    found = {name: version(name) for name in names}
    return {"python": platform.python_version(), **found, "commit": _git_commit()}


def _git_commit() -> str:
    """The commit of the working directory, with + where it was changed; empty outside a repository."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return described.stdout.strip()
