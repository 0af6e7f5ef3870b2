"""The stages that tune and train one detector at a time: what each ``do`` does."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from optdet.candidates_config import CandidatesConfig
from optdet.config import PostprocessConfig
from optdet.config_io import apply_params, load_config
from optdet.errors import OptdetError
from optdet.inference.map_names import has_maps
from optdet.phrases import counted
from optdet.playbook.context import Context, Named, stage_path
from optdet.playbook.definition import Origin, PostprocessStage, StageConfig, StudyStage, TrainStage
from optdet.playbook.measure import as_it_is, judged_samples, submission_path, submitted, tuned
from optdet.playbook.result import StageResult, WrittenFile
from optdet.settings_yaml import read_mapping
from optdet.study_config import StudyConfig
from optdet.study_io import load_study, one_trial_study
from optdet.tuning.postprocess import Entry
from optdet.tuning.postprocess_output import submission_name
from optdet.tuning.ranking import best_trials
from optdet.tuning.results import best_trial, config_of
from optdet.tuning.run import run_study
from optdet.tuning.study import OpenStudy, TrialOrigin, n_wanted, outer_studies
from optdet.tuning.study import load_study as open_study
from optdet.tuning.study_creation import create_study, name_for
from optdet.tuning.submission_places import shown_path
from optdet.tuning.submission_predict import submit_entries
from optdet.tuning.submissions import find_submission
from optdet.validation import validate

RunStage = Callable[[Context, str], StageResult]
"""Does the work of the stage of that name."""
StageOf = TypeVar("StageOf", bound=StageConfig)


def run_origin(context: Context, name: str, origin: Origin) -> StageResult:
    """Where a playbook begins, or what it compares with, as it is; trained first where it is missing."""
    if origin.config is not None and not is_there(context, origin.source):
        config = load_config(context.file(origin.config))
        config = apply_params(config, origin.overrides, f"{name}.overrides")
        train(context, one_trial_study(config, origin.source))
    result = as_it_is(context, Named(origin.source)).result
    if origin.submission is None:
        return result
    record = find_submission(context.database, origin.submission)
    submitted_as = WrittenFile(shown_path(context.database, record), None, result.hmean, record.sha256)
    return replace(result, files=(submitted_as,))


def run_postprocess(context: Context, name: str) -> StageResult:
    stage = stage_of(context, name, PostprocessStage)
    named = context.named(stage.source)
    candidates = {}
    if stage.candidates is not None:
        opened = context.open_maps(named)
        path = context.file(stage.candidates)
        file = validate(CandidatesConfig, read_mapping(path), str(path))
        config = opened.config.postprocess if opened.config is not None else PostprocessConfig()
        candidates = file.named(opened.thresholds, config)
    measured, report = tuned(context, named, stage.tune, candidates)
    lines = [
        f"{report.n_configurations:,} configurations on {counted(report.n_images, 'image')}",
        f"defaults {report.entry('default').macro.hmean:.4f}, "
        f"in use before {report.entry('current').macro.hmean:.4f}",
    ]
    files: list[WrittenFile] = []
    if report.candidates:
        best = max(report.candidates, key=lambda entry: entry.macro.hmean)
        lines.append(f"best of {len(report.candidates)} candidates: {best.name}, {best.macro.hmean:.4f}")
        if context.playbook.test_images is not None:
            files = _write_candidates(context, name, named, report.candidates)
    result = replace(measured.result, files=tuple(files), lines=(*lines, *measured.result.lines))
    return submitted(context, name, replace(measured, result=result))


def run_train(context: Context, name: str) -> StageResult:
    stage = stage_of(context, name, TrainStage)
    config = load_config(context.file(stage.config))
    config = apply_params(config, stage.overrides, f"stages.{name}.overrides")
    study = train(context, one_trial_study(config, context.study_name(name)))
    source = f"{study.name}:{best_trial(study).number}"
    return submitted(context, name, tuned(context, Named(source), None)[0])


def run_search(context: Context, name: str) -> StageResult:
    stage = stage_of(context, name, StudyStage)
    study = train(context, study_of(context, name, stage))
    best = best_trial(study)
    lines = [f"best of {counted(study.n_finished(), 'trial')}: {study.name}:{best.number}, {best.value:.4f}"]
    source = f"{study.name}:{best.number}"
    if stage.retrain is not None:
        config = apply_params(config_of(best, study), stage.retrain, f"stages.{name}.retrain")
        if "seed" not in stage.retrain:
            # One of its own, as the trial's is what made it the best in part.
            config = config.model_copy(update={"seed": (config.seed + 1) % 2**32})
        once_more = one_trial_study(config, context.study_name(name, "retrain"))
        origin = TrialOrigin(study.name, study.uuid, best.number)
        alone = train(context, once_more, data_root=study.data_root, settings_from=origin)
        source = f"{alone.name}:{best_trial(alone).number}"
    measured, _ = tuned(context, Named(source), None)
    result = replace(measured.result, lines=(*lines, *measured.result.lines))
    return submitted(context, name, replace(measured, result=result))


def study_of(context: Context, name: str, stage: StudyStage) -> StudyConfig:
    """The study that a stage of that name runs."""
    overrides = [f"{key}={json.dumps(value)}" for key, value in stage.overrides.items()]
    if stage.trials is not None:
        overrides.append(f"trials={stage.trials}")
    return load_study(context.file(stage.study), overrides, name=context.study_name(name))


def train(
    context: Context,
    config: StudyConfig,
    *,
    data_root: Path | None = None,
    settings_from: TrialOrigin | None = None,
) -> OpenStudy:
    """Make the study unless it is there, and run it until it is full; OptdetError where its trials fail.

    Where another study has its name, as that of a step which was forgotten, it gets a number behind it.
    """
    config = config.model_copy(update={"name": name_for(context.database, config)})
    state = create_study(context.database, config, data_root=data_root, settings_from=settings_from)
    context.display.say(f"{state}: study {config.name}, {counted(config.trials, 'trial')}")
    study = open_study(context.database, config.name)
    with context.display.progress(study) as progress:
        result = run_study(study, progress, device=None if context.device == "auto" else context.device)
    if result.reason == "failures":
        raise OptdetError(
            f"{study.config.max_failures} trials failed in a row, the last: {result.last_failure}",
            where=f"study {study.name}",
            fix="mend it, then run the playbook again",
        )
    if not best_trials(study, 1):
        raise OptdetError(
            "no trial is complete",
            where=f"study {study.name}",
            fix=f"run more: optdet study run {study.name} --trials {study.config.trials + 5}",
        )
    return study


def _write_candidates(
    context: Context, name: str, named: Named, entries: Sequence[Entry]
) -> list[WrittenFile]:
    assert context.playbook.test_images is not None
    folder = submission_path(context, name).with_suffix("")
    opened = context.open_maps(named)
    samples = judged_samples(context, opened)
    with context.display.bar("predicting candidates") as on_image:
        lines = submit_entries(
            entries,
            opened,
            named.source,
            Path(context.playbook.test_images),
            folder,
            words={sample.name: sample.words for sample in samples},
            on_own_images=False,
            options=context.options,
            on_image=on_image,
        )
        for line in lines:
            context.display.say(line)
    return [
        WrittenFile(stage_path(folder / submission_name(entry.name)), entry.thresholds, entry.macro.hmean)
        for entry in entries
    ]


def stage_of(context: Context, name: str, kind: type[StageOf]) -> StageOf:
    stage = context.playbook.stages[name]
    assert isinstance(stage, kind)
    return stage


def is_there(context: Context, source: str) -> bool:
    """Whether a source is a file, a folder or a study that is full: one that is half done is gone on with."""
    path = Path(source)
    if path.is_file() or (path.is_dir() and ("/" in source or has_maps(path))):
        return True
    name, _, number = source.partition(":")
    rows = [row for row in outer_studies(context.database) if row.name == name]
    return bool(rows) and (bool(number) or rows[0].n_finished >= n_wanted(rows[0]))
