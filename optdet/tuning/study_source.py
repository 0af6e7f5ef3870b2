"""A study, or one of its trials, as a SOURCE: its maps, thresholds and validation images."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from optdet.data.located import locate
from optdet.data.source import load_source
from optdet.digest import file_sha256
from optdet.errors import OptdetError
from optdet.inference.preprocessing import Preprocessing
from optdet.phrases import numbers
from optdet.search_space import Choice
from optdet.store.registry import checkpoint_of
from optdet.structures import Sample
from optdet.tuning import attributes as attr
from optdet.tuning.detection_source import OpenSource
from optdet.tuning.housekeeping import best_trials
from optdet.tuning.results import best_trial, checkpoint_path, config_of, find_trial, thresholds_of
from optdet.tuning.source import SourceOptions, checkpoint_maps
from optdet.tuning.study import Database, OpenStudy, find_study, load_study, open_database


def open_study_source(source: str, options: SourceOptions) -> OpenSource:
    """``STUDY`` (its best trial) or ``STUDY:TRIAL``."""
    study, trial = find_source(open_database(options.storage, options.root), source)
    return trial_source(study, trial, options)


def find_source(database: Database, source: str) -> tuple[OpenStudy, FrozenTrial]:
    """The study and the trial that ``STUDY`` (its best trial) or ``STUDY:TRIAL`` names."""
    name, colon, number = source.partition(":")
    if colon and not re.fullmatch(r"[0-9]+", number):
        raise OptdetError(
            f"{number!r} is not a trial number", where=source, fix="write STUDY:TRIAL, as quickstart:7"
        )
    study = load_study(database, find_study(database, name or None))
    return study, find_trial(study, int(number)) if colon else best_trial(study)


@dataclass(frozen=True, slots=True)
class FoldTrials:
    """``STUDY:TRIAL`` of the best complete trial of each fold, by fold, and what to say of other folds."""

    trials: list[str]
    notes: list[str]


def trials_of_folds(source: str, options: SourceOptions, parameter: str) -> FoldTrials | None:
    """The trials of a study that varies ``parameter`` alone; None for another study, or none of that name."""
    try:
        database = open_database(options.storage, options.root)
        study = load_study(database, find_study(database, source))
    except OptdetError:
        return None  # whoever opens the source says what is wrong
    if set(study.config.space) != {parameter}:
        return None
    best: dict[Any, int] = {}
    for trial in best_trials(study, len(study.study.get_trials(deepcopy=False))):
        best.setdefault(trial.params[parameter], trial.number)
    if not best:
        return None
    wanted = study.config.space[parameter]
    folds = wanted.choices if isinstance(wanted, Choice) else range(int(wanted.low), int(wanted.high) + 1)
    missing = [int(fold) for fold in folds if isinstance(fold, int) and fold not in best]
    return FoldTrials(
        trials=[f"{study.name}:{number}" for _, number in sorted(best.items())],
        notes=[f"{study.name}: no complete trial of {numbers('fold', missing)}"] if missing else [],
    )


def trial_source(study: OpenStudy, trial: FrozenTrial, options: SourceOptions) -> OpenSource:
    config = config_of(trial, study)
    title = f"{study.name}:{trial.number}"
    maps = checkpoint_maps(
        _own_checkpoint(study, trial),
        title=title,
        preprocessing=Preprocessing.of(config),
        device=options.device,
        cache_dir=study.places.cache_dir,
        key=trial.user_attrs.get(attr.MAP_KEY),
        max_gb=config.cache.max_gb,
    )

    located = partial(locate, config.data, data_root=study.data_root, data_dir=study.places.data_dir)

    def labelled() -> tuple[Sample, ...]:
        val = located().val
        source = load_source(Path(val.images), Path(val.labels), format=val.format)
        source.require_complete()
        return source.samples

    def trained_on() -> tuple[Path, ...]:
        sources = [load_source(Path(s.images), Path(s.labels), format=s.format) for s in located().train]
        return tuple(sample.image_path for source in sources for sample in source.samples)

    in_use = thresholds_of(trial) or config.postprocess.thresholds()
    return OpenSource(title, maps, in_use, config, labelled, trained_on)


def _own_checkpoint(study: OpenStudy, trial: FrozenTrial) -> Path:
    """The trial's checkpoint; OptdetError for another file in its place: the thresholds, scores and kept maps
    would not be that one's. Where the file is gone, kept maps may still do.

    Reading the file takes some tenths of a second for 100 MB.
    """
    path = checkpoint_path(study, trial)
    recorded = checkpoint_of(study.storage, study.uuid, trial.number, "best")
    if recorded is None or study.places.absolute(recorded.path) != path or not path.is_file():
        return path
    if file_sha256(path) != recorded.sha256:
        raise OptdetError(
            f"damaged, or not the checkpoint that trial {trial.number} saved: its SHA-256 is another",
            where=str(path),
            fix="put that back, or give the file itself as the source",
        )
    return path
