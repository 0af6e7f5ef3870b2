"""A detector's score on the images that a playbook judges by: at thresholds tuned on them, or as it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from optdet.config import TuneConfig
from optdet.evaluation.evaluate import Evaluation
from optdet.evaluation.scorer import evaluate_at
from optdet.inference.folder import predict_folder
from optdet.playbook.context import START, Context, Named, stage_path
from optdet.playbook.result import StageResult
from optdet.structures import Sample, Thresholds
from optdet.tuning.postprocess import PostprocessReport, tune_postprocess
from optdet.tuning.detection_source import OpenSource
from optdet.tuning.source import labelled_samples, scorers_of
from optdet.tuning.task import TuningTask


def judged_samples(context: Context, opened: OpenSource) -> tuple[Sample, ...]:
    """The images that every stage is scored on: the playbook's own, else the validation images of the start.

    ``opened`` is the source in hand, asked where the start itself is not open yet.
    """
    playbook = context.playbook
    if playbook.images is not None and playbook.labels is not None:
        return labelled_samples(opened, Path(playbook.images), Path(playbook.labels))
    of_start = opened if not context.taken else context.open(context.named(START))
    return labelled_samples(of_start, None, None)


def as_it_is(context: Context, named: Named) -> StageResult:
    """A source at the thresholds in use, which were not chosen here."""
    opened = context.open(named)
    samples = judged_samples(context, opened)
    with context.display.bar("reading maps") as on_image:
        scorers = scorers_of(opened, samples, on_image=on_image)
    return _result(opened, named, opened.thresholds, evaluate_at(scorers, opened.thresholds))


def tuned(
    context: Context,
    named: Named,
    tune: TuneConfig | None,
    candidates: Mapping[str, Thresholds] | None = None,
) -> tuple[OpenSource, PostprocessReport, StageResult]:
    """A source at thresholds tuned on the judged images, and the report of the search."""
    opened = context.open(named)
    samples = judged_samples(context, opened)
    with context.display.bar("reading maps") as on_image:
        scorers = scorers_of(opened, samples, on_image=on_image)
    search = tune or (opened.config.postprocess.tune if opened.config is not None else TuneConfig())
    task = TuningTask(scorers, search, opened.thresholds, candidates=candidates or {})
    with context.display.bar("tuning thresholds") as on_trial:
        report = tune_postprocess(opened.title, task, workers=os.cpu_count() or 1, on_trial=on_trial)
    entry = report.entry(report.selected)
    # Where what was in use stays, it is still the rule's choice that says what choosing here is worth.
    crossfit = report.entry(report.rule).crossfit
    return opened, report, _result(opened, named, entry.thresholds, entry.evaluation, crossfit)


def submit(context: Context, opened: OpenSource, thresholds: Thresholds, out: Path) -> str:
    """The test images at these thresholds, as a checked file; the path as results hold it."""
    assert context.playbook.test_images is not None
    with context.display.bar("predicting") as on_image:
        lines = predict_folder(
            opened.maps, thresholds, Path(context.playbook.test_images), out, on_image=on_image
        )
    context.display.say(lines[0])
    return stage_path(out)


def submission_path(context: Context, stage: str) -> Path:
    """Where a stage's submission is written: numbered, as a stage may be entered again."""
    number = len(context.taken)
    return Path(context.playbook.submissions) / f"{context.playbook.name}-{number:02d}-{stage}.csv"


def _result(
    opened: OpenSource,
    named: Named,
    thresholds: Thresholds,
    evaluation: Evaluation,
    crossfit: float | None = None,
) -> StageResult:
    scores = evaluation.scores.competition.macro
    return StageResult(
        title=opened.title,
        # A study's best trial may be another tomorrow.
        source=named.source if opened.labelled is None else opened.title,
        thresholds=thresholds,
        precision=scores.precision,
        recall=scores.recall,
        hmean=scores.hmean,
        hmean_crossfit=crossfit,
        interval=evaluation.interval(),
        hmeans=tuple(evaluation.hmeans.tolist()),
    )
