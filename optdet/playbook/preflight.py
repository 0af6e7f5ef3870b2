"""What would stop a playbook after hours is looked for before its first step: files, settings, names."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from optdet.candidates_config import CandidatesConfig
from optdet.config import Config
from optdet.config_io import apply_params, load_config
from optdet.errors import OptdetError
from optdet.playbook.context import REFERENCE, START, Context
from optdet.playbook.definition import (
    EnsembleStage,
    FoldsStage,
    Origin,
    PostprocessStage,
    Stage,
    StudyStage,
    SubmitStage,
    TrainStage,
)
from optdet.playbook.stages import is_there, study_of
from optdet.setting_names import setting_names, unknown_setting
from optdet.settings_yaml import read_mapping
from optdet.study_config import StudyConfig
from optdet.tuning.fold_members import FOLD
from optdet.tuning.study import outer_studies
from optdet.tuning.submissions import find_submission
from optdet.validation import validate

_WORDS = ("previous", "best", START, REFERENCE)


def check_ahead(context: Context) -> None:
    """OptdetError for a file that is not there, a setting that none has or takes, a submission that nobody
    knows, and a source that is neither a stage nor a file nor a study. Nothing is run."""
    playbook = context.playbook
    _check_origin(context, START, playbook.start)
    if playbook.reference is not None:
        _check_origin(context, REFERENCE, playbook.reference)
    for name, stage in playbook.stages.items():
        _check_stage(context, name, stage, f"stages.{name}")
    for folder in (playbook.images, playbook.test_images):
        if folder is not None and not Path(folder).is_dir():
            raise OptdetError(
                "no such folder of images", where=folder, fix="paths of images begin at the working directory"
            )


def _check_stage(context: Context, name: str, stage: Stage, where: str) -> None:
    if isinstance(stage, PostprocessStage | SubmitStage):
        _check_source(context, stage.source, where)
    if isinstance(stage, PostprocessStage) and stage.candidates is not None:
        path = context.file(stage.candidates)
        validate(CandidatesConfig, read_mapping(path), str(path))
    elif isinstance(stage, TrainStage):
        apply_params(load_config(context.file(stage.config)), stage.overrides, f"{where}.overrides")
    elif isinstance(stage, StudyStage):
        study = study_of(context, name, stage)
        apply_params(study.base_config(), stage.retrain or {}, f"{where}.retrain")
        if FOLD in study.space:
            raise OptdetError(
                f"trials of a study over {FOLD} hold out different images: none of them is the best",
                where=f"playbook {context.playbook.name}: {where}",
                fix="take it out of the study's space; do: folds trains every fold",
            )
    elif isinstance(stage, FoldsStage):
        _check_overrides(stage, f"{where}.overrides")
    elif isinstance(stage, EnsembleStage):
        for member in stage.members:
            _check_source(context, member, where)


def _check_origin(context: Context, name: str, origin: Origin) -> None:
    if origin.config is not None:
        apply_params(load_config(context.file(origin.config)), origin.overrides, f"{name}.overrides")
    elif not _is_known(context, origin.source):
        raise OptdetError(
            f"{origin.source} is neither a file nor a study",
            where=f"playbook {context.playbook.name}: {name}",
            fix=f"check the name, or add {name}.config, which trains it",
        )
    if origin.submission is not None:
        find_submission(context.database, origin.submission)


def _check_overrides(stage: FoldsStage, where: str) -> None:
    """Of a study of folds, whose config is not known yet: those of the config are tried on any."""
    of_config, of_study = set(setting_names(Config)), set(setting_names(StudyConfig))
    for name, value in stage.overrides.items():
        if name in of_config:
            apply_params(Config(), {name: value}, where)
        elif name not in of_study:
            raise unknown_setting(name, sorted(of_config | of_study), where)


def _check_source(context: Context, source: str, where: str) -> None:
    playbook = context.playbook
    stages = [*playbook.stages, *_WORDS]
    origins = [each.source for each in (playbook.start, playbook.reference) if each is not None]
    # Studies of its own are there once their stages were run.
    if source in (*stages, *origins) or source.startswith(f"{playbook.name}-") or _is_known(context, source):
        return
    near = get_close_matches(source, stages, n=1)
    raise OptdetError(
        f"{source} is neither a stage, nor a file, nor a study",
        where=f"playbook {playbook.name}: {where}",
        fix=f"did you mean {near[0]}?" if near else "check the name",
    )


def _is_known(context: Context, source: str) -> bool:
    names = {row.name for row in outer_studies(context.database)}
    return is_there(context, source) or source.partition(":")[0] in names
