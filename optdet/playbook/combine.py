"""The stages that combine detectors: the folds of one, or what several stages gave."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from optdet.config import TuneConfig
from optdet.ensemble_config import EnsembleMethod
from optdet.errors import OptdetError
from optdet.playbook.context import START, Context, stage_path
from optdet.playbook.definition import EnsembleStage
from optdet.playbook.measure import Measured, as_scored, judged_samples, result_of, submitted
from optdet.playbook.result import StageResult
from optdet.playbook.stages import stage_of
from optdet.structures import Sample
from optdet.tuning.detection_source import OpenSource
from optdet.tuning.ensemble import build_ensemble
from optdet.tuning.ensemble_members import Member, open_members
from optdet.tuning.ensemble_output import as_source, ensemble_config, write_ensemble
from optdet.tuning.ensemble_report import EnsembleReport
from optdet.tuning.ensemble_submission import about_ensemble


@dataclass(frozen=True, slots=True)
class Combined:
    """An ensemble by one method."""

    method: EnsembleMethod
    members: tuple[Member, ...]
    report: EnsembleReport

    @property
    def worth(self) -> float:
        """The cross-fitted H-mean; the plain one, where the images are too few for it."""
        scored = self.report.ensemble
        return scored.hmean if scored.hmean_crossfit is None else scored.hmean_crossfit


def run_ensemble(context: Context, name: str) -> StageResult:
    stage = stage_of(context, name, EnsembleStage)
    sources = [source for member in stage.members for source in context.members_of(member)]
    distinct = tuple(dict.fromkeys(sources))  # a detector that two members share speaks once
    if len(distinct) == 1:  # as where the best is the reference
        measured = as_scored(context, stage.members[0])
        line = f"{' and '.join(stage.members)} are one detector: there is nothing to combine"
        return submitted(context, name, replace(measured, result=replace(measured.result, lines=(line,))))
    return submitted(context, name, combine(context, name, distinct, stage.methods, stage.min_votes))


def combine(
    context: Context,
    name: str,
    sources: Sequence[str],
    methods: Sequence[EnsembleMethod],
    min_votes: int | None,
) -> Measured:
    """Each method tuned on the judged images; the better one becomes a file that is a SOURCE."""
    samples = judged_samples(context, context.open(context.named(START)))
    built = [_build(context, sources, samples, method, min_votes) for method in methods]
    best = max(built, key=lambda each: each.worth)
    report, combined = best.report, as_source(best.report)
    path = context.own_dir() / f"{len(context.taken):02d}-{name}-{best.method}.yaml"
    about = about_ensemble(combined, best.members, report, samples, command="playbook run")
    config = ensemble_config(combined, best.members, path, context.options, about.local)
    write_ensemble(config, path, [f"by playbook {context.playbook.name}", report.verdict])
    scored = report.ensemble
    result = result_of(
        f"{best.method} of {len(best.members)} members",
        stage_path(path),
        None,
        scored.evaluation,
        scored.hmean_crossfit,
        scored.fair_hmeans.tolist(),
    )
    result = replace(
        result,
        members=tuple(member.source for member in best.members),
        lines=(*(line for each in built for line in _lines(each)), *best.report.notes),
    )
    return Measured(combined, result, about)


def _build(
    context: Context,
    sources: Sequence[str],
    samples: Sequence[Sample],
    method: EnsembleMethod,
    min_votes: int | None,
) -> Combined:
    found = open_members(sources, method=method, options=context.options)
    votes = min_votes if method == "votes" else None
    if votes is not None and votes > len(found.members):
        raise OptdetError(
            f"{votes} votes of {len(found.members)} members",
            where=f"playbook {context.playbook.name}",
            fix="lower min_votes",
        )
    report = build_ensemble(
        found.members,
        samples,
        method=method,
        search=_search(found.members),
        min_votes=votes,
        workers=os.cpu_count() or 1,
        bar=context.display.bar,
    )
    for note in (*found.notes, *report.notes):
        context.display.say(f"note: {note}")
    return Combined(method, found.members, report)


def _search(members: Sequence[Member]) -> TuneConfig:
    """That of the first member that has a config, by the whole lattice: others cannot be cross-fitted."""
    for member in members:
        if isinstance(member.opened, OpenSource) and member.opened.config is not None:
            return member.opened.config.postprocess.tune.model_copy(update={"method": "exhaustive"})
    return TuneConfig()


def _lines(combined: Combined) -> list[str]:
    scored = combined.report.ensemble
    crossfit = "" if scored.hmean_crossfit is None else f", cross-fitted {scored.hmean_crossfit:.4f}"
    n_members = len(combined.members)
    return [
        f"{combined.method} of {n_members}: H-mean {scored.hmean:.4f}{crossfit}",
        combined.report.verdict,
    ]
