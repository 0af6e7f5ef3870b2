"""What came of a study: its best trial, its trials as rows, a config to train again."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from optdet.config import Config, SourceConfig
from optdet.config_io import differences
from optdet.data.files import write_atomically
from optdet.data.located import locate
from optdet.errors import OptdetError
from optdet.settings_yaml import dump_yaml
from optdet.store.leases import Leases
from optdet.store.registry import checkpoint_of
from optdet.structures import Thresholds
from optdet.training.checkpoints import CheckpointFolder
from optdet.tuning import attributes as attr
from optdet.tuning.background import runs_of
from optdet.tuning.data_state import trials_of_other_data
from optdet.tuning.fold_members import require_best, varies_fold
from optdet.tuning.ranking import best_trials
from optdet.tuning.study import OpenStudy
from optdet.validation import validate


@dataclass(frozen=True, slots=True)
class TrialRow:
    """A trial as a table shows it; what does not apply is None."""

    number: int
    state: str
    value: float | None
    params: dict[str, Any]
    hmean_crossfit: float | None
    thresholds: dict[str, Any] | None
    scores: dict[str, Any] | None
    epochs: int
    seconds: float | None
    images_per_s: float | None
    peak_memory_gb: float | None
    batch_size: int | None
    """Images a step that it ended with: fewer than asked for where the card was too small."""
    by_word_height: list[dict[str, Any]] | None
    """``low``, ``high``, ``n_words``, ``recall``, ``precision`` and ``hmean``, the smallest words first."""
    failure: str | None
    extended_from: int | None
    sources: list[dict[str, Any]] | None
    """Of several sources: of each epoch, ``name``, ``n_images`` and ``loss`` of each."""

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in type(self).__dataclass_fields__}


def trial_rows(study: OpenStudy) -> list[TrialRow]:
    return [trial_row(trial) for trial in study.study.get_trials(deepcopy=False)]


def trial_row(trial: FrozenTrial) -> TrialRow:
    attrs = trial.user_attrs
    params = trial.params or trial.system_attrs.get("fixed_params", {})
    return TrialRow(
        number=trial.number,
        state=trial.state.name.lower(),
        value=trial.value if trial.state.is_finished() else None,
        params=dict(params),
        hmean_crossfit=attrs.get(attr.CROSSFIT),
        thresholds=attrs.get(attr.THRESHOLDS),
        scores=attrs.get(attr.SCORES),
        epochs=max(trial.intermediate_values, default=0),
        seconds=attrs.get(attr.SECONDS),
        images_per_s=attrs.get(attr.IMAGES_PER_S),
        peak_memory_gb=attrs.get(attr.PEAK_MEMORY),
        batch_size=_batch_size(attrs),
        by_word_height=attrs.get(attr.BY_HEIGHT),
        failure=attrs.get(attr.FAILURE),
        extended_from=attrs.get(attr.EXTENDED_FROM),
        sources=attrs.get(attr.SOURCES),
    )


def _batch_size(attrs: dict[str, Any]) -> int | None:
    settings = attrs.get(attr.BATCHING) or attrs.get(attr.CONFIG, {}).get("train", {})
    found = settings.get("batch_size")
    return found if isinstance(found, int) else None


def best_trial(study: OpenStudy) -> FrozenTrial:
    """The complete trial with the highest value, the first of equals; OptdetError where folds are varied."""
    require_best(study)
    best = best_trials(study, 1)
    if not best:
        raise OptdetError(
            "no trial is complete yet",
            where=f"study {study.name}",
            fix=f"run it: optdet study run {study.name}",
        )
    return best[0]


def find_trial(study: OpenStudy, number: int) -> FrozenTrial:
    for trial in study.study.get_trials(deepcopy=False):
        if trial.number == number:
            return trial
    raise OptdetError(
        f"there is no trial {number}",
        where=f"study {study.name}",
        fix=f"see `optdet study show {study.name}`",
    )


def best_json(study: OpenStudy) -> dict[str, Any]:
    """The contract of ``study best --json``; ``val`` holds paths that other commands take as they stand."""
    trial = best_trial(study)
    row = trial_row(trial)
    config = config_of(trial, study)
    val = locate(config.data, data_root=study.data_root, data_dir=study.places.data_dir).val
    return {
        "study": study.name,
        "number": row.number,
        "value": row.value,
        "hmean_crossfit": row.hmean_crossfit,
        "interval": trial.user_attrs.get(attr.INTERVAL),
        "params": row.params,
        "thresholds": row.thresholds,
        "scores": row.scores,
        "checkpoint": str(checkpoint_path(study, trial)),
        "val": {"images": val.images, "labels": val.labels, "format": val.format},
        "epochs": row.epochs,
        "seconds": row.seconds,
        "other_data": trials_of_other_data(study),
    }


def config_of(trial: FrozenTrial, study: OpenStudy) -> Config:
    """The whole config that a trial ran with."""
    stored = trial.user_attrs.get(attr.CONFIG)
    if stored is None:
        raise OptdetError(f"trial {trial.number} has not begun", where=f"study {study.name}")
    return validate(Config, stored, f"{study.name}:{trial.number}")


def thresholds_of(trial: FrozenTrial) -> Thresholds | None:
    """The tuned ones; those that its best epoch was scored at where it was pruned before any tuning."""
    stored = trial.user_attrs.get(attr.THRESHOLDS, trial.user_attrs.get(attr.EPOCH_THRESHOLDS))
    return None if stored is None else Thresholds.from_dict(stored)


def checkpoint_path(study: OpenStudy, trial: FrozenTrial) -> Path:
    """Where a finished trial's best weights are; OptdetError where there are none."""
    stored = trial.user_attrs.get(attr.CHECKPOINT)
    if stored is not None:
        return study.places.absolute(stored)
    found = CheckpointFolder(study.places.run_dir(study.name, trial.number) / "checkpoints").found("best")
    if found and trial.state != TrialState.FAIL:
        return found[0].path
    recorded = checkpoint_of(study.storage, study.uuid, trial.number, "best")
    if recorded is None or trial.state == TrialState.FAIL:
        raise OptdetError(f"trial {trial.number} has no checkpoint", where=f"study {study.name}")
    return study.places.absolute(recorded.path)  # gone: whoever opens it says so


def study_json(study: OpenStudy) -> dict[str, Any]:
    """A study, its trials and its workers: what ``study show --json`` prints."""
    rows = trial_rows(study)
    leases = Leases(study.storage, study.study_id, study.uuid)
    complete = [] if varies_fold(study) else best_trials(study, 1)
    return {
        "study": study.name,
        "description": study.config.description,
        "trials_wanted": study.config.trials,
        "finished": sum(row.state in {"complete", "pruned"} for row in rows),
        "best": complete[0].number if complete else None,
        "space": {name: dimension.model_dump(mode="json") for name, dimension in study.config.space.items()},
        "trials": [row.as_json() for row in rows],
        "other_data": trials_of_other_data(study),
        "workers": [
            {"number": slot.trial_number, "host": slot.host, "pid": slot.pid, "alive": slot.alive}
            for slot in leases.live()
        ],
        "background": [run.as_json() for run in runs_of(study) if run.works],
    }


def write_best(study: OpenStudy, path: Path, *, force: bool = False) -> None:
    """A config file from which ``optdet train`` gives the best trial again: same settings, same seed.

    Its data paths are made relative to the working directory. The thresholds in use stay those that the
    trial began with, since tuning starts from them; the tuned ones stand in the file's head.
    """
    if path.exists() and not force:
        raise OptdetError("the file exists", where=str(path), fix="give another name, or --force")
    trial = best_trial(study)
    tree = differences(relocated(config_of(trial, study), study.data_root))
    thresholds = ", ".join(f"{name} {value}" for name, value in trial.user_attrs[attr.THRESHOLDS].items())
    head = [
        f"# Trial {trial.number} of study {study.name}: {_value_in_words(study, trial)}",
        f"# at {thresholds}",
    ]
    if attr.EXTENDED_FROM in trial.user_attrs:
        head.append(f"# It began with the weights of trial {trial.user_attrs[attr.EXTENDED_FROM]}:")
        head.append("# trained from nothing, these settings give another detector.")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, ("\n".join(head) + "\n" + dump_yaml(tree)).encode())


def _value_in_words(study: OpenStudy, trial: FrozenTrial) -> str:
    """The value, and which score it is: a cross-fitted one is not that of the thresholds that are given."""
    if study.config.objective != "crossfit" or trial.user_attrs.get(attr.CROSSFIT) is None:
        return f"H-mean {trial.value:.6f} (competition, macro)"
    own = trial.user_attrs[attr.SCORES]["competition"]["macro"]["hmean"]
    return f"cross-fitted H-mean {trial.value:.6f}; H-mean {own:.6f} (competition, macro)"


def relocated(config: Config, data_root: Path) -> Config:
    """The config with data paths relative to the working directory instead of ``data_root``."""

    def moved(source: SourceConfig) -> SourceConfig:
        places = {key: os.path.relpath(data_root / getattr(source, key)) for key in ("images", "labels")}
        return source.model_copy(update=places)

    if config.data.folds is not None:
        folds = {"folds": os.path.relpath(data_root / config.data.folds)}
        return config.model_copy(update={"data": config.data.model_copy(update=folds)})
    if config.data.val is None:
        return config
    sources = {"train": tuple(moved(source) for source in config.data.train), "val": moved(config.data.val)}
    return config.model_copy(update={"data": config.data.model_copy(update=sources)})
