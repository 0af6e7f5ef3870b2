"""Going on with a trial that has ended: a new trial, linked to it, that starts from its best checkpoint.

The new one is queued with its whole config and runs like any other. It keeps the seed and counts its epochs
on, so data come as they would have; the optimizer's state is gone with the old trial's end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from optdet.config import Config
from optdet.config_io import apply_params, parse_override
from optdet.errors import OptdetError, TrialFailed
from optdet.training.checkpoints import CheckpointFolder, SavedCheckpoint
from optdet.tuning import attributes as attr
from optdet.tuning.queue import exact_values
from optdet.tuning.study import OpenStudy
from optdet.validation import validate

_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True, slots=True)
class Extension:
    """A queued trial: it goes on after ``after_epoch`` and ends with ``epochs``.

    ``total`` is the number of trials that a run must be asked for to come to it.
    """

    number: int
    after_epoch: int
    epochs: int
    total: int


@dataclass(frozen=True, slots=True)
class StartingPoint:
    config: Config
    checkpoint: SavedCheckpoint


def extend_trial(
    study: OpenStudy, trial: FrozenTrial, changes: Sequence[str] = (), *, epochs: int | None = None
) -> Extension:
    """Queue a trial that goes on with an ended one; ``name=value`` texts replace settings of its config.

    Without ``epochs`` a pruned trial gets the rest of its own, at its own schedule. With it, it gets so many
    more, and a cosine ends with the last of them.
    """
    where = f"{study.name}:{trial.number}"
    if trial.state not in _ENDED:
        raise OptdetError(
            f"trial {trial.number} is {trial.state.name.lower()}",
            where=where,
            fix="only trials that are complete or pruned can be extended",
        )
    best = _best(study, trial.number)
    if best is None:
        raise OptdetError("its checkpoint is gone", where=where, fix="run it anew: optdet study enqueue")
    old = validate(Config, trial.user_attrs[attr.CONFIG], where)
    config = _with_budget(old, trial, best.epoch, epochs, where)
    values = dict(map(parse_override, changes))
    _check_names(values, where)
    config = apply_params(config, values, f"extending {where}")
    _require_same_fold(old, config, where)
    varied = [name for name in values if name in study.config.space]
    study.study.enqueue_trial(
        {**trial.params, **exact_values(study.config, config, varied, f"extending {where}")},
        user_attrs={attr.EXTENDED_FROM: trial.number, attr.CONFIG: config.model_dump(mode="json")},
    )
    trials = study.study.get_trials(deepcopy=False)
    queued = max(
        other.number
        for other in trials
        if other.user_attrs.get(attr.EXTENDED_FROM) == trial.number  # a worker may have begun it by now
    )
    total = sum(other.state != TrialState.FAIL for other in trials)
    return Extension(queued, best.epoch, config.train.epochs, max(total, study.config.trials))


def starting_point(study: OpenStudy, attributes: Mapping[str, Any]) -> StartingPoint | None:
    """Where a trial with these attributes starts; None for one that starts from nothing."""
    number = attributes.get(attr.EXTENDED_FROM)
    if number is None:
        return None
    best = _best(study, number)
    if best is None:
        raise TrialFailed(f"the checkpoint of trial {number}, from which it starts, is gone")
    return StartingPoint(validate(Config, attributes[attr.CONFIG], f"extension of trial {number}"), best)


def _best(study: OpenStudy, number: int) -> SavedCheckpoint | None:
    found = CheckpointFolder(study.places.run_dir(study.name, number) / "checkpoints").found("best")
    return found[0] if found else None


def _with_budget(old: Config, trial: FrozenTrial, after_epoch: int, epochs: int | None, where: str) -> Config:
    if epochs is None:
        if trial.state == TrialState.COMPLETE or after_epoch >= old.train.epochs:
            raise OptdetError(
                f"its training has ended, the best epoch was {after_epoch} of {old.train.epochs}",
                where=where,
                fix="say how many epochs it gets from there: --epochs 5",
            )
        return old
    last = after_epoch + epochs
    # What is asked for in epochs is a budget of epochs, of the run's own length.
    changes: dict[str, Any] = {"train.epochs": last, "train.updates": None, "scheduler.epoch_updates": None}
    if old.scheduler.t_max is not None:
        changes["scheduler.t_max"] = last
    return apply_params(old, changes, where)


def _require_same_fold(old: Config, new: Config, where: str) -> None:
    """OptdetError where other images would be held out than those that the weights have not learnt."""
    for name in ("folds", "fold", "folds_sha256"):
        if getattr(old.data, name) != getattr(new.data, name):
            raise OptdetError(
                f"data.{name} cannot change: the weights have learnt what another fold holds out", where=where
            )


def _check_names(values: Mapping[str, Any], where: str) -> None:
    for name in values:
        if name == "train.epochs":
            raise OptdetError(
                "train.epochs would count those behind it too",
                where=where,
                fix="give those to come: --epochs",
            )
        if name.partition(".")[0] == "model":
            raise OptdetError(
                f"{name} cannot change: the weights are those of the model as it is", where=where
            )
