"""A detector's score on the images that a playbook judges by: at thresholds tuned on them, or as it is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from optdet.config import TuneConfig
from optdet.data.located import locate
from optdet.data.source import load_source
from optdet.errors import OptdetError
from optdet.evaluation.evaluate import Evaluation, evaluate
from optdet.playbook.context import START, Context, Named, stage_path
from optdet.playbook.result import StageResult, WrittenFile
from optdet.structures import Sample, Thresholds
from optdet.tuning.detection_source import DetectionSource, OpenSource, origins_of
from optdet.tuning.in_sample import n_trained_on
from optdet.tuning.labelled import same_images
from optdet.tuning.local_scores import local_scores
from optdet.tuning.postprocess import PostprocessReport, tune_postprocess
from optdet.tuning.source import scorers_of
from optdet.tuning.submission_predict import Wanted, known_trial, submit
from optdet.tuning.submissions import About
from optdet.tuning.task import TuningTask


@dataclass(frozen=True, slots=True)
class Measured:
    """A source that is open, its result, and what the registry is to know of a file that it writes."""

    opened: DetectionSource
    result: StageResult
    about: About


def judged_samples(context: Context, opened: DetectionSource) -> tuple[Sample, ...]:
    """The images that every stage is scored on: the playbook's own, else the validation images of the start,
    which are those of its config where it is a file and knows none.

    ``opened`` is the source in hand, asked where the start itself is not open yet.
    """
    playbook = context.playbook
    if playbook.images is not None and playbook.labels is not None:
        return load_source(Path(playbook.images), Path(playbook.labels)).samples
    of_start = opened if not context.taken else context.open(context.named(START))
    if of_start.labelled is not None:
        return of_start.labelled()
    data = context.start_data()
    if data is None:
        raise OptdetError(
            "the start knows no labelled images to score on",
            where=f"playbook {playbook.name}",
            fix="add images: and labels:, or start.config, a config that names its images",
        )
    val = locate(data, data_root=Path(), data_dir=context.database.places.data_dir).val
    return load_source(Path(val.images), Path(val.labels), format=val.format).samples


def as_it_is(context: Context, named: Named) -> Measured:
    """A source at the thresholds in use, which were not chosen here."""
    opened = context.open(named)
    samples = judged_samples(context, opened)
    paths = [sample.image_path for sample in samples]
    with context.display.bar("scoring") as on_image:
        found = list(opened.detect_each(paths, [None], workers=os.cpu_count() or 1, on_image=on_image))
    polygons = {sample.name: each.polygons for sample, (each,) in zip(samples, found, strict=True)}
    evaluation = evaluate({sample.name: sample.words for sample in samples}, polygons)
    return _measured(context, opened, named, samples, evaluation, _own_crossfit(context, opened, samples))


def as_scored(context: Context, name: str) -> Measured:
    """A detector that a stage names, with the scores of the step that gave it: its thresholds were chosen on
    these images, and only that step knows what they are worth elsewhere."""
    measured = as_it_is(context, context.named(name))
    taken = context.scored(name)
    # A leaderboard may have preferred one of the step's other files, at thresholds that have no such score.
    if taken is None or taken.result.thresholds not in (None, measured.opened.thresholds):
        return measured
    scores = replace(taken.result, files=(), config=None)
    kept = replace(scores, thresholds=measured.opened.thresholds, lines=measured.result.lines)
    local = measured.about.local
    local = None if local is None else replace(local, crossfit=kept.hmean_crossfit)
    return Measured(measured.opened, kept, replace(measured.about, local=local))


def _own_crossfit(context: Context, opened: DetectionSource, samples: Sequence[Sample]) -> float | None:
    """What a trial's tuning says of its thresholds, where it was done on these very images: the score without
    it would be set beside those of others that have it."""
    known = known_trial(opened, context.options)
    if known is None or opened.labelled is None:
        return None
    n_same = len(same_images(opened.labelled(), samples))
    return known.crossfit_at(opened.thresholds) if n_same == len(samples) else None


def tuned(
    context: Context,
    named: Named,
    tune: TuneConfig | None,
    candidates: Mapping[str, Thresholds] | None = None,
) -> tuple[Measured, PostprocessReport]:
    """A source at thresholds tuned on the judged images, and the report of the search."""
    opened = context.open_maps(named)
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
    opened = replace(opened, thresholds=entry.thresholds)
    return _measured(context, opened, named, samples, entry.evaluation, crossfit), report


def submitted(context: Context, name: str, measured: Measured) -> StageResult:
    """The result with its file of the test images before its other ones, where the playbook has any.

    The file's name is numbered, as a stage may be entered again.
    """
    playbook, result = context.playbook, measured.result
    if playbook.test_images is None:
        return result
    wanted = Wanted(Path(playbook.test_images), submission_path(context, name))
    opened = measured.opened
    predicted = submit(
        opened, opened.thresholds, wanted, measured.about, context.options, bar=context.display.bar
    )
    for line in (predicted.written.lines()[0], *predicted.notes):
        context.display.say(line)
    own = WrittenFile(stage_path(wanted.out), result.thresholds, result.hmean, predicted.written.sha256)
    return replace(result, files=(own, *result.files))


def submission_path(context: Context, stage: str) -> Path:
    return Path(context.playbook.submissions) / (
        f"{context.playbook.name}-{len(context.taken):02d}-{stage}.csv"
    )


def result_of(
    title: str,
    source: str,
    thresholds: Thresholds | None,
    evaluation: Evaluation,
    crossfit: float | None,
    hmeans: Sequence[float] | None = None,
) -> StageResult:
    """``hmeans`` are those of the images that a bootstrap draws from, if they are not the evaluation's."""
    scores = evaluation.scores.competition.macro
    return StageResult(
        title=title,
        source=source,
        thresholds=thresholds,
        precision=scores.precision,
        recall=scores.recall,
        hmean=scores.hmean,
        hmean_crossfit=crossfit,
        interval=evaluation.interval(),
        hmeans=tuple(evaluation.hmeans.tolist() if hmeans is None else hmeans),
    )


def _measured(
    context: Context,
    opened: DetectionSource,
    named: Named,
    samples: Sequence[Sample],
    evaluation: Evaluation,
    crossfit: float | None = None,
) -> Measured:
    known = known_trial(opened, context.options)
    # A study's best trial may be another tomorrow.
    source = named.source if known is None else opened.title
    about = About(
        command="playbook run",
        sources=origins_of(opened, named.source),
        settings={"thresholds": None if opened.thresholds is None else opened.thresholds.as_dict()},
        local=local_scores(evaluation, {sample.name: sample.words for sample in samples}, crossfit),
    )
    result = result_of(opened.title, source, opened.thresholds, evaluation, crossfit)
    return Measured(opened, replace(result, lines=_in_sample(opened, samples)), about)


def _in_sample(opened: DetectionSource, samples: Sequence[Sample]) -> tuple[str, ...]:
    """A line where a detector was trained on images that it is scored on."""
    if not isinstance(opened, OpenSource) or opened.trained_on is None:
        return ()
    try:
        n_learnt = n_trained_on(opened.trained_on(), samples)
    except OptdetError:  # its data are not here: nobody can tell
        return ()
    if not n_learnt:
        return ()
    return (
        f"warning: {opened.title} was trained on {n_learnt} of the {len(samples)} images that judge it: its "
        "score is not out of sample",
    )
