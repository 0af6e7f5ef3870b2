"""A study that trains every fold of a partition with the settings of one trial, or of a config.

What the trial's best epoch had seen is the budget, in updates: epochs of folds are of other length, and to
choose one by the images that a fold holds out would inflate their score. The learning rate takes the course
that it took there, update by update.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from optdet.config import Config, DataConfig
from optdet.config_io import apply_params, load_config, parse_override
from optdet.data.located import locate, locate_folds
from optdet.data.pool import Pool, load_sources, open_pool
from optdet.data.project import path_from
from optdet.data.sampling import SourcePart, parts_of, source_parts
from optdet.errors import OptdetError
from optdet.study_config import StudyConfig
from optdet.study_io import study_from
from optdet.training.budget import Budget, Pace, planned_epochs, updates_behind
from optdet.tuning import attributes as attr
from optdet.tuning.fold_members import FOLD
from optdet.tuning.results import config_of
from optdet.tuning.study import OpenStudy, TrialOrigin


@dataclass(frozen=True, slots=True)
class FoldBase:
    """What every fold is trained with: settings, how long, and what to call their origin, which is a trial
    or a file."""

    config: Config
    budget: Budget
    title: str
    notes: tuple[str, ...] = ()
    origin: TrialOrigin | None = None


def base_of_trial(study: OpenStudy, trial: FrozenTrial) -> FoldBase:
    """A complete trial's settings, for as many updates as its best epoch had seen."""
    title = f"{study.name}:{trial.number}"
    if trial.state != TrialState.COMPLETE:
        raise OptdetError(
            f"trial {trial.number} is {trial.state.name.lower()}",
            where=title,
            fix="take a complete one: its best epoch says how long folds are trained",
        )
    config = config_of(trial, study)
    epoch = int(trial.user_attrs[attr.BEST_EPOCH])

    def parts() -> tuple[SourcePart, ...]:
        return _training_parts(config.data, study.data_root, study.places.data_dir)

    # A trial by an earlier optdet has not counted them.
    updates = int(trial.user_attrs.get(attr.UPDATES, 0)) or updates_behind(config, parts(), epoch)
    an_epoch = config.scheduler.epoch_updates
    if an_epoch is None:
        counts_updates = config.train.updates is not None
        an_epoch = Pace.of(config, parts()).epoch_updates if counts_updates else updates / epoch
    notes = []
    if attr.EXTENDED_FROM in trial.user_attrs:
        number = trial.user_attrs[attr.EXTENDED_FROM]
        notes.append(f"{title} began with the weights of trial {number}; folds are trained from nothing")
    budget = Budget(updates, an_epoch or updates / epoch)
    return FoldBase(config, budget, title, tuple(notes), TrialOrigin(study.name, study.uuid, trial.number))


def base_of_config(path: Path, *, data_root: Path, data_dir: Path) -> FoldBase:
    """A config's settings, for the updates that its own training would have."""
    config = load_config(path)
    data = config.data
    if not (data.train or data.synthetic or data.folds):
        raise OptdetError(
            "it names no images, so that an epoch has no length",
            where=str(path),
            fix="name data.train and data.val in it, or take a trial: --from STUDY",
        )
    parts = _training_parts(data, data_root, data_dir)
    epochs = config.train.epochs
    updates = config.train.updates or updates_behind(config, parts, epochs)
    an_epoch = Pace.of(config, parts).epoch_updates or updates / epochs
    return FoldBase(config, Budget(updates, an_epoch), str(path))


def plan_fold_study(
    folds: Path,
    base: FoldBase,
    *,
    name: str,
    data_root: Path,
    data_dir: Path,
    overrides: Sequence[str] = (),
) -> StudyConfig:
    """The study of a file of folds, with ``name=value`` texts applied; OptdetError where the images are not
    those that were parted, and where training would not start from nothing. Only labels are read."""
    pool = open_pool(locate_folds(folds, data_dir=data_dir))
    config = _in_folds(base.config, pool, path_from(data_root, folds))
    study = fold_study_config(config, name=name, n_folds=pool.folds.n_folds, base=base)
    study = study_from(study.as_dict(), overrides, f"study {name}")
    _require_no_start(study)
    if study.config.train.updates is None:
        return study
    if any(parse_override(text)[0] == "train.epochs" for text in overrides):
        raise OptdetError(
            f"a study of folds counts its budget in updates, {study.config.train.updates} of them",
            where="train.epochs",
            fix="give train.updates=N, or train.updates=null beside it",
        )
    n_epochs = [
        planned_epochs(study.config, parts_of(pool.parts, pool.learnt(fold)))
        for fold in range(pool.folds.n_folds)
    ]
    return study.model_copy(update={"config": apply_params(study.config, {"train.epochs": max(n_epochs)})})


def _require_no_start(study: StudyConfig) -> None:
    """OptdetError for weights to start from: what they have learnt nobody can tell."""
    start = study.config.train.start
    if start is not None:
        raise OptdetError(
            f"every fold would begin with the weights of {start}, which may have learnt the images that it "
            "holds out",
            where="train.start",
            fix="add train.start=null to train every fold from nothing",
        )


def fold_study_config(config: Config, *, name: str, n_folds: int, base: FoldBase) -> StudyConfig:
    """A study over ``data.fold`` of a config whose data are in folds: for the budget of ``base`` each fold
    once, none pruned, every fold's maps kept. Trial k holds out fold k."""
    scheduler: dict[str, Any] = {"scheduler.epoch_updates": base.budget.epoch_updates}
    if config.scheduler.name == "cosine" and config.scheduler.t_max is None:
        # Where it would have ended there, which may lie behind the budget's end.
        ended = config.train.epochs
        own = config.train.updates
        scheduler["scheduler.t_max"] = ended if own is None else own / base.budget.epoch_updates
    settings = {**scheduler, "train.updates": base.budget.updates, "train.checkpoint": "fixed"}
    tree = {
        "name": name,
        "description": f"{n_folds} folds as {base.title}, {base.budget.updates} updates each",
        "config": apply_params(config, settings, f"study {name}").model_dump(mode="json"),
        "space": {FOLD: {"type": "categorical", "choices": list(range(n_folds))}},
        "queue": [{FOLD: fold} for fold in range(n_folds)],
        "sampler": {"name": "grid"},  # gives a fold again whose trial has failed
        "pruner": {"name": "none"},
        "trials": n_folds,
        "seed": config.seed,
        "vary_seed": False,  # so that folds differ in their images alone
        "keep": {"maps": n_folds, "inner_studies": n_folds},
    }
    return study_from(tree, (), f"study {name}")


def _in_folds(config: Config, pool: Pool, folds: str) -> Config:
    data = config.data.model_dump(mode="json", exclude={"train", "val", "synthetic"})
    data |= {"folds": folds, "fold": 0, "folds_sha256": pool.folds.sha256()}
    return config.model_copy(update={"data": DataConfig.model_validate(data)})


def _training_parts(data: DataConfig, data_root: Path, data_dir: Path) -> tuple[SourcePart, ...]:
    """The parts of the images that a config learns from, by their labels and names alone."""
    if data.synthetic is not None:
        return (SourcePart("synthetic", data.synthetic.train),)
    located = locate(data, data_root=data_root, data_dir=data_dir)
    if located.in_folds is not None:
        pool = open_pool(located)
        return parts_of(pool.parts, pool.learnt(data.fold))
    sources = load_sources(located.train)
    return source_parts(located.train, [len(source.samples) for source in sources])
