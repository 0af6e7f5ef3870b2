"""The stage that trains the best settings on every fold, writes them down, and combines the folds."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace
from pathlib import Path

from optdet.config import Config, DataConfig
from optdet.config_io import differences
from optdet.data.files import write_atomically
from optdet.data.folds import FILE_NAME
from optdet.data.located import locate
from optdet.data.split import split_data, write_split
from optdet.data.split_copies import copies_across
from optdet.errors import OptdetError
from optdet.inference.preprocessing import PREPROCESSING_SETTINGS
from optdet.phrases import counted
from optdet.playbook.combine import combine
from optdet.playbook.context import Context, Named, stage_path
from optdet.playbook.definition import FoldsStage
from optdet.playbook.measure import submitted
from optdet.playbook.result import StageResult
from optdet.playbook.stages import stage_of, train
from optdet.settings_yaml import dump_yaml
from optdet.tuning.fold_members import fold_members
from optdet.tuning.fold_study import FoldBase, base_of_config, base_of_trial, plan_fold_study
from optdet.tuning.results import find_trial, relocated
from optdet.tuning.study import OpenStudy
from optdet.tuning.study_source import find_source
from optdet.tuning.submission_predict import known_trial


def run_folds(context: Context, name: str) -> StageResult:
    stage = stage_of(context, name, FoldsStage)
    if stage.settings == "best":
        named = context.of(context.best(alone=True).result)
    else:
        named = context.named(stage.settings)
    folder = context.own_dir() / context.study_name(name)
    folder.mkdir(parents=True, exist_ok=True)
    base, config = _base(context, named, folder / "settings.yaml")
    if stage.write is not None:
        _write_settings(context, config, base.title, Path(stage.write))
    planned = plan_fold_study(
        _split(context, config, folder, stage.folds),
        base,
        name=context.study_name(name),
        data_root=Path(),
        data_dir=context.database.places.data_dir,
        overrides=[f"{key}={json.dumps(value)}" for key, value in stage.overrides.items()],
    )
    study = train(context, planned, settings_from=base.origin)
    measured = combine(context, name, [study.name], stage.methods, stage.min_votes)
    result = replace(
        measured.result,
        config=stage.write,
        lines=(f"settings of {base.title}", *base.notes, *_fold_lines(study), *measured.result.lines),
    )
    return submitted(context, name, replace(measured, result=result))


def _base(context: Context, named: Named, settings: Path) -> tuple[FoldBase, Config]:
    """What folds are trained with, and the same as a config whose paths begin at the working directory, with
    the thresholds of ``named`` in use. Those of a file are written to ``settings`` first."""
    opened = context.open_maps(named)
    if opened.config is None:
        raise OptdetError(
            "it has no settings to train folds with",
            where=named.source,
            fix="start from a study's trial or one of its checkpoints",
        )
    config = opened.config
    in_use = config.postprocess.with_thresholds(opened.thresholds)
    if known_trial(opened, context.options) is not None:
        study, trial = find_source(context.database, opened.title)
        config = relocated(config, study.data_root).model_copy(update={"postprocess": in_use})
        return base_of_trial(study, trial), config
    if not (config.data.train or config.data.synthetic or config.data.folds):
        config = config.model_copy(update={"data": _start_data(context, named, config.data)})
    config = config.model_copy(update={"postprocess": in_use})
    write_atomically(settings, dump_yaml(differences(config)).encode())
    base = base_of_config(settings, data_root=Path(), data_dir=context.database.places.data_dir)
    return base, config


def _start_data(context: Context, named: Named, own: DataConfig) -> DataConfig:
    """The images that the start's config names, as the detector sees images."""
    data = context.start_data()
    if data is None:
        raise OptdetError(
            "it names no images to train folds on",
            where=named.source,
            fix="give the playbook start.config, a config that names them",
        )
    return data.model_copy(update={name: getattr(own, name) for name in PREPROCESSING_SETTINGS})


def _split(context: Context, config: Config, folder: Path, n_folds: int) -> Path:
    """The training images in folds; those of validation stay apart, to judge by."""
    data = config.data
    if data.folds is not None:
        raise OptdetError("its images are in folds already", where=data.folds, fix="start from others")
    located = locate(data, data_root=Path(), data_dir=context.database.places.data_dir)
    with context.display.bar("reading images") as on_image:
        split = split_data(
            located.train,
            located.val,
            n_folds=n_folds,
            seed=config.seed,
            synthetic=data.synthetic,
            on_image=on_image,
        )
    with context.display.bar("comparing likely copies") as on_pair:
        copies = copies_across(split.samples, split.folds.images, split.looks, on_pair)
    for note in (*split.notes, *copies):
        context.display.say(f"note: {note}")
    # Named by the partition, so that another one, as after a step was forgotten, has a place of its own.
    place = folder / f"folds-{split.folds.sha256()[:8]}"
    write_split(split, place)
    return place / FILE_NAME


def _write_settings(context: Context, config: Config, origin: str, path: Path) -> None:
    """The config file; OptdetError for one in its place that somebody else wrote."""
    head = f"# Written by playbook {context.playbook.name}: the settings of {origin}.\n"
    own = head[: head.index(":") + 1].encode()
    if path.exists() and not path.read_bytes().startswith(own):
        raise OptdetError(
            "the file is there, and not this playbook's",
            where=str(path),
            fix="move it, or give the stage another write",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (head + dump_yaml(differences(config))).encode())
    context.display.say(f"wrote {stage_path(path)}")


def _fold_lines(study: OpenStudy) -> list[str]:
    values = {
        fold: value
        for fold, number in fold_members(study).items()
        if (value := find_trial(study, number).value) is not None
    }
    worst = min(values, key=lambda fold: values[fold])
    spread = f", std {statistics.stdev(values.values()):.4f}" if len(values) > 1 else ""
    return [
        f"{counted(len(values), 'fold')} on their own images: mean {statistics.fmean(values.values()):.4f}"
        f"{spread}, worst {values[worst]:.4f} (fold {worst}); see `optdet study folds {study.name}`"
    ]
