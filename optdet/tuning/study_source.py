"""A study, or one of its trials, as a SOURCE: its maps, thresholds and validation images."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from optuna.trial import FrozenTrial

from optdet.data.fingerprints import labels_digest
from optdet.data.located import locate
from optdet.data.sets import samples_kept_apart, training_paths, validation_samples
from optdet.digest import file_sha256
from optdet.errors import OptdetError
from optdet.inference.preprocessing import Preprocessing
from optdet.phrases import numbers
from optdet.store.registry import checkpoint_of
from optdet.structures import Sample, SubmissionSource
from optdet.tuning import attributes as attr
from optdet.tuning.data_state import validated_labels
from optdet.tuning.detection_source import OpenSource
from optdet.tuning.fold_members import fold_members, fold_numbers, is_fold_study
from optdet.tuning.results import best_trial, checkpoint_path, config_of, find_trial, thresholds_of
from optdet.tuning.source import SourceOptions, checkpoint_maps
from optdet.tuning.study import Database, OpenStudy, find_study, load_study, open_database


def open_study_source(source: str, options: SourceOptions) -> OpenSource:
    """``STUDY`` (its best trial), ``STUDY:TRIAL``, or ``STUDY:oof`` of a study of folds."""
    database = open_database(options.storage, options.root)
    name, _, what = source.partition(":")
    if what == "oof":
        # Not above: it takes the sources of trials from here.
        from optdet.tuning.fold_source import open_out_of_fold_source

        study = load_study(database, find_study(database, name or None))
        return open_out_of_fold_source(study, options)
    study, trial = find_source(database, source)
    return trial_source(study, trial, options)


def find_source(database: Database, source: str) -> tuple[OpenStudy, FrozenTrial]:
    """The study and the trial that ``STUDY`` (its best trial) or ``STUDY:TRIAL`` names."""
    name, colon, number = source.partition(":")
    if colon and not re.fullmatch(r"[0-9]+", number):
        raise OptdetError(
            f"{number!r} is not a trial number",
            where=source,
            fix="write STUDY:TRIAL, as quickstart:7; or STUDY:oof of a study of folds",
        )
    study = load_study(database, find_study(database, name or None))
    return study, find_trial(study, int(number)) if colon else best_trial(study)


@dataclass(frozen=True, slots=True)
class FoldTrials:
    """The trials of a study of folds, one a fold, as sources; and what to say of it."""

    trials: list[str]
    notes: list[str]


def trials_of_folds(source: str, options: SourceOptions) -> FoldTrials | None:
    """The complete trials of a study of folds; None of another study, or where none has that name."""
    try:
        database = open_database(options.storage, options.root)
        study = load_study(database, find_study(database, source))
    except OptdetError:
        return None  # whoever opens the source says what is wrong
    if not is_fold_study(study):
        return None
    members = fold_members(study)
    missing = [fold for fold in fold_numbers(study) if fold not in members]
    return FoldTrials(
        trials=[f"{study.name}:{number}" for number in members.values()],
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
    known = validated_labels(study, trial)

    @cache
    def labelled() -> tuple[Sample, ...]:
        samples = validation_samples(located())
        if known is not None and known != labels_digest(samples):
            options.say(
                f"the validation labels have changed since {title} was scored: what is stored of it, as its "
                "cross-fitted score, is of the former ones"
            )
        return samples

    return OpenSource(
        title,
        maps,
        thresholds_of(trial) or config.postprocess.thresholds(),
        config,
        labelled=labelled,
        trained_on=lambda: training_paths(located()),
        judge=None if config.data.folds is None else lambda: samples_kept_apart(located()),
        origins=(SubmissionSource(title, study.uuid),),
    )


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
