"""The end of a playbook: the submission that it leads to."""

from __future__ import annotations

from dataclasses import replace

from optdet.playbook.context import Context
from optdet.playbook.definition import SubmitStage
from optdet.playbook.measure import as_it_is
from optdet.playbook.result import StageResult
from optdet.playbook.stages import stage_of, submitted


def run_submit(context: Context, name: str) -> StageResult:
    """The best of all steps, by the score that gates read, or the detector that is named, as it is."""
    stage = stage_of(context, name, SubmitStage)
    if stage.source == "best":
        best = context.best()
        named, line = context.named("best"), f"the best of {len(context.taken)} steps: {best.stage}"
        result = replace(best.result, thresholds=named.thresholds)
    else:
        named = context.named(stage.source)
        result, line = as_it_is(context, named), f"{stage.source}: {named.source}"
    result = replace(result, files=(), config=None, lines=(line,))
    return submitted(context, name, result)
