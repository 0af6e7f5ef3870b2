"""A trial as one file that is a SOURCE anywhere: its best checkpoint, and where that came from.

The format is that of every checkpoint, so whatever opens one opens this. It adds ``trial``: the study, the
number, parameters, value and scores, the data's fingerprint and the versions. Paths in it are relative.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from optdet.config import Config, SourceConfig
from optdet.errors import OptdetError
from optdet.model.checkpoint_file import save_checkpoint
from optdet.training.checkpoints import CheckpointFolder
from optdet.tuning import attributes as attr
from optdet.tuning.results import checkpoint_path, config_of, thresholds_of
from optdet.tuning.study import OpenStudy

_KEPT = (
    attr.SCORES,
    attr.CROSSFIT,
    attr.INTERVAL,
    attr.BEST_EPOCH,
    attr.EXTENDED_FROM,
    attr.SEED,
    attr.DATA_FINGERPRINT,
    attr.VERSIONS,
)


def pack_trial(study: OpenStudy, trial: FrozenTrial, out: Path | None = None, *, force: bool = False) -> Path:
    """Write an ended trial into one file, by default ``STUDY-t0012.pt`` in the working directory.

    Returns where it is. The same trial gives the same bytes. OptdetError for a trial that has not ended, or
    left no checkpoint.
    """
    out = out or Path(f"{study.name}-t{trial.number:04d}.pt")
    if out.exists() and not force:
        raise OptdetError("the file exists", where=str(out), fix="give another name, or --force")
    if not trial.state.is_finished():
        raise OptdetError(
            f"trial {trial.number} is {trial.state.name.lower()}",
            where=f"study {study.name}",
            fix="wait until it has ended",
        )
    path = checkpoint_path(study, trial)
    saved = next((best for best in CheckpointFolder(path.parent).found("best") if best.path == path), None)
    if saved is None:
        raise OptdetError("the checkpoint is gone", where=str(path))
    config = portable(config_of(trial, study), study.data_root)
    payload = {**saved.load(), "config": config.model_dump(mode="json"), "trial": trial_origin(study, trial)}
    thresholds = thresholds_of(trial)
    if thresholds is not None:
        payload["thresholds"] = thresholds.as_dict()
    out.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(out, payload)
    return out


def portable(config: Config, data_root: Path) -> Config:
    """The config without absolute paths: below the data root they are relative to it, elsewhere names alone.

    Nothing of what a detector gives depends on them.
    """

    def moved(source: SourceConfig) -> SourceConfig:
        places = {key: _relative(getattr(source, key), data_root) for key in ("images", "labels")}
        return source.model_copy(update=places)

    data = config.data
    if data.folds is not None:
        data = data.model_copy(update={"folds": _relative(data.folds, data_root)})
    if data.val is not None:
        sources = {"train": tuple(moved(source) for source in data.train), "val": moved(data.val)}
        data = data.model_copy(update=sources)
    model, train = config.model, config.train
    if model.weights is not None:
        model = model.model_copy(update={"weights": _relative(model.weights, data_root)})
    if train.start is not None:
        train = train.model_copy(update={"start": _relative(train.start, data_root)})
    return config.model_copy(update={"data": data, "model": model, "train": train})


def _relative(text: str, data_root: Path) -> str:
    path = Path(text)
    if not path.is_absolute():
        return text
    return path.relative_to(data_root).as_posix() if path.is_relative_to(data_root) else path.name


def trial_origin(study: OpenStudy, trial: FrozenTrial) -> dict[str, Any]:
    """Where a detector comes from, as plain values without absolute paths: what a pack keeps as ``trial``."""
    params = {
        name: _relative(value, study.data_root) if isinstance(value, str) else value
        for name, value in trial.params.items()
    }
    known = {name: trial.user_attrs[name] for name in _KEPT if name in trial.user_attrs}
    value = trial.value if trial.state == TrialState.COMPLETE else None
    return {"study": study.name, "number": trial.number, "value": value, "params": params, **known}
