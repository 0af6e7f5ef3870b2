"""The table of ``optdet postprocess tune``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table

from optdet.cli.tables import pairs

if TYPE_CHECKING:
    from optdet.tuning.postprocess import Entry, PostprocessReport


def report_table(report: PostprocessReport) -> None:
    """Scores of every named configuration, then its thresholds, then what to make of them."""
    typer.echo(f"{report.title}: {report.n_configurations:,} configurations on {report.n_images} images")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(("", "P", "R", "H", "P-R", "official", "IoU", "boxes", "95 % interval")):
        table.add_column(column, justify="left" if index == 0 else "right", no_wrap=True)
    for entry in (*report.entries, *report.candidates):
        mark = "*" if entry.name == report.selected else ""
        table.add_row(f"{entry.name}{mark}", *_cells(entry))
    Console(highlight=False).print(table)
    typer.echo("P, R, H: CLEval competition macro; official and IoU@0.5: their macro H-means")
    for entry in (*report.entries, *report.candidates):
        typer.echo(f"{entry.name:<9} {pairs(entry.thresholds.as_dict())}")
    for entry in report.entries:
        if entry.crossfit is not None:
            typer.echo(f"{entry.name}: {entry.crossfit:.4f} cross-fitted: on images left out of the choice")
        for axis in entry.at_bounds:
            value = getattr(entry.thresholds, axis)
            typer.echo(f"{entry.name}: {axis} {value:g} lies at an end of its range: widen it")
    if report.constraint is not None:
        typer.echo(f"best and robust keep {report.constraint}")


def _cells(entry: Entry) -> list[str]:
    scores = entry.evaluation.scores
    macro = scores.competition.macro
    low, high = entry.evaluation.interval()
    return [
        f"{macro.precision:.4f}",
        f"{macro.recall:.4f}",
        f"{macro.hmean:.4f}",
        f"{macro.precision - macro.recall:+.4f}",
        f"{scores.official.macro.hmean:.4f}",
        f"{scores.iou.macro.hmean:.4f}",
        f"{entry.n_boxes}",
        f"{low:.4f}-{high:.4f}",
    ]
