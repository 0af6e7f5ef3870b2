"""The end of a playbook: the submission that it leads to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from optdet.phrases import counted
from optdet.playbook.context import REFERENCE, Context
from optdet.playbook.definition import SubmitStage
from optdet.playbook.measure import Measured, as_it_is, submission_path, submitted
from optdet.playbook.result import StageResult, WrittenFile
from optdet.playbook.stages import stage_of
from optdet.tuning.submission_places import shown_path
from optdet.tuning.submissions import find_submission, reissue


def run_submit(context: Context, name: str) -> StageResult:
    """The best of all steps, by the score that gates read, or the detector that is named, as it is; of a
    reference the submission that it was recorded with, where the playbook names one."""
    stage = stage_of(context, name, SubmitStage)
    named = context.named(stage.source)
    measured = as_it_is(context, named)
    line = f"{stage.source}: {named.source}"
    if stage.source == "best":
        best = context.best()
        line = f"the best of {counted(len(context.taken), 'step')}: {best.stage}"
        measured = _as_scored(measured, best.result)
    measured = replace(measured, result=replace(measured.result, lines=(line,)))
    reference = context.playbook.reference
    if stage.source == REFERENCE and reference is not None and reference.submission is not None:
        return _issued_again(context, name, measured.result, reference.submission)
    return submitted(context, name, measured)


def _as_scored(measured: Measured, result: StageResult) -> Measured:
    """With the scores of the step, whose thresholds were chosen on these images."""
    kept = replace(result, thresholds=measured.opened.thresholds, files=(), config=None)
    local = measured.about.local
    local = None if local is None else replace(local, crossfit=result.hmean_crossfit)
    return Measured(measured.opened, kept, replace(measured.about, local=local))


def _issued_again(context: Context, name: str, result: StageResult, submission: str) -> StageResult:
    record = find_submission(context.database, submission)
    out = submission_path(context, name).with_suffix(Path(record.name).suffix)
    reissue(context.database, record, out, force=True)
    context.display.say(f"wrote {out}: {shown_path(context.database, record)} again, byte for byte")
    files = (WrittenFile(out.as_posix(), result.thresholds, result.hmean),)
    return replace(result, files=files)
