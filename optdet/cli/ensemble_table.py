"""An ensemble and its members on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from optdet.cli.tables import pairs
from optdet.cli.text_table import TextTable, print_table
from optdet.phrases import counted

if TYPE_CHECKING:
    from optdet.structures import Thresholds
    from optdet.tuning.ensemble_report import EnsembleReport
    from optdet.tuning.ensemble_scores import Scored

"""Names of members are paths, and no number may be cut off for them."""
_HOW = {
    "given": "as given",
    "usual": "as usual: tuning them scores no higher cross-fitted",
    "tuned": "tuned: higher cross-fitted than as usual",
}


def ensemble_table(report: EnsembleReport) -> None:
    """Each member alone, the ensemble, and what to make of it."""
    of = f"{counted(len(report.members), 'member')} on {counted(len(report.names), 'image')}"
    typer.echo(f"{'the mean map' if report.mean else 'votes'} of {of}")
    weighted = ["weight"] if report.mean else []
    table = TextTable(("", "P", "R", "H", "crossfit", "95 % interval", "boxes", *weighted))
    for each in report.members:
        weight = [] if each.weight is None else [f"{each.weight:g}"]
        mark = "*" if each is report.best else ""
        table.add_row(f"{each.member.name}{mark}", *_scores(each.scored), *weight)
    table.add_row("ensemble", *_scores(report.ensemble), *([""] if report.mean else []))
    print_table(table)
    typer.echo("P, R, H: CLEval competition, macro; * the best member")
    for each in report.members:
        if report.vote and each.thresholds is not None:
            typer.echo(f"{each.member.name} at {_at(each.thresholds)}")
    if report.thresholds is not None:
        typer.echo(f"ensemble at {_at(report.thresholds)}")
    if report.vote is not None:
        settings = report.vote.settings
        votes = f"{settings.min_votes} of {counted(len(report.members), 'vote')}"
        typer.echo(f"{votes}, IoU {settings.iou_thresh:g}: {_HOW[report.how]}")
    else:
        typer.echo(f"weights {_HOW[report.how]}")
    difference = report.difference
    kind = "cross-fitted" if report.crossfitted else "not cross-fitted"
    typer.echo(
        f"ensemble - {report.best.member.name}, {kind}: {difference.difference:+.4f}, "
        f"SE {difference.standard_error:.4f}, P>0 {difference.p_positive:.2f}"
    )
    typer.echo(report.verdict)


def _at(thresholds: Thresholds) -> str:
    return pairs(thresholds.as_dict())


def _scores(scored: Scored) -> list[str]:
    macro = scored.evaluation.scores.competition.macro
    low, high = scored.evaluation.interval()
    crossfit = scored.hmean_crossfit
    return [
        f"{macro.precision:.4f}",
        f"{macro.recall:.4f}",
        f"{macro.hmean:.4f}",
        "" if crossfit is None else f"{crossfit:.4f}",
        f"{low:.4f}-{high:.4f}",
        f"{scored.n_boxes}",
    ]
