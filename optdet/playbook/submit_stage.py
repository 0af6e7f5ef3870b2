"""The end of a playbook: the submission that it leads to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from optdet.phrases import counted
from optdet.playbook.context import REFERENCE, Context
from optdet.playbook.definition import SubmitStage
from optdet.playbook.measure import Measured, as_scored, submission_path, submitted
from optdet.playbook.result import StageResult, WrittenFile
from optdet.playbook.stages import stage_of
from optdet.store.submissions import SubmissionRecord
from optdet.tuning.submission_places import shown_path
from optdet.tuning.submissions import best_recorded, find_submission, reissue


def run_submit(context: Context, name: str) -> StageResult:
    """The best of all steps, by the score that gates read, or the detector that is named; of a reference the
    submission that a leaderboard has scored, the one that the playbook names or else the best."""
    stage = stage_of(context, name, SubmitStage)
    measured = as_scored(context, stage.source)
    line = f"{stage.source}: {measured.result.source}"
    if stage.source == "best":
        line = f"the best of {counted(len(context.taken), 'step')}: {context.best().stage}"
    if stage.source == REFERENCE:
        record = _recorded(context, measured)
        if record is not None:
            said = (line, "the file that was recorded, once more")
            return _issued_again(context, name, replace(measured.result, lines=said), record)
        line = f"{line}; no submission of it is recorded, so it is made anew"
    lines = [line]
    if context.playbook.test_images is None:
        lines.append("no file is written: the playbook names no test_images")
    result = replace(measured.result, lines=tuple(lines))
    return submitted(context, name, replace(measured, result=result))


def _recorded(context: Context, measured: Measured) -> SubmissionRecord | None:
    """The reference's submission that is issued again; None where a leaderboard has scored none."""
    reference, database = context.playbook.reference, context.database
    if reference is not None and reference.submission is not None:
        return find_submission(database, reference.submission)
    return best_recorded(database, measured.about.sources, context.playbook.board)


def _issued_again(context: Context, name: str, result: StageResult, record: SubmissionRecord) -> StageResult:
    out = submission_path(context, name).with_suffix(Path(record.name).suffix)
    reissue(context.database, record, out, force=True)
    context.display.say(f"wrote {out}: {shown_path(context.database, record)} again, byte for byte")
    files = (WrittenFile(out.as_posix(), result.thresholds, result.hmean, record.sha256),)
    return replace(result, files=files)
