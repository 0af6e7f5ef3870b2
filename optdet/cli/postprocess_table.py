"""The tables of ``optdet postprocess tune``, 80 columns wide where labels are short."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import typer

from optdet.cli.text_table import TextTable, print_table
from optdet.metrics.scores import METRIC_NAMES
from optdet.structures import METRICS, Metric

if TYPE_CHECKING:
    from optdet.tuning.postprocess import Entry, PostprocessReport

_HEADINGS: Final[dict[Metric, str]] = {"competition": "compet.", "official": "official", "iou": "IoU"}


def report_table(report: PostprocessReport) -> None:
    """Scores of every named configuration, then its thresholds, then what to make of them."""
    typer.echo(f"{report.title}: {report.n_configurations:,} configurations on {report.n_images} images")
    entries = (*report.entries, *report.candidates)
    names = [f"{entry.name}{'*' if entry.name == report.selected else ''}" for entry in entries]
    others = [metric for metric in METRICS if metric != report.metric]
    headings = (_HEADINGS[metric] for metric in others)
    scores = TextTable(("", "P", "R", "H", "P-R", "95 % interval", *headings, "boxes"), gap=1)
    thresholds = TextTable(("", "thresh", "box_thresh", "unclip_ratio", "max_candidates", "outlines"), gap=1)
    for name, entry in zip(names, entries, strict=True):
        scores.add_row(name, *_scores(entry, others))
        thresholds.add_row(name, *_thresholds(entry))
    print_table(scores)
    beside = " and ".join(METRIC_NAMES[metric].removeprefix("CLEval ") for metric in others)
    typer.echo(f"P, R, H: {METRIC_NAMES[report.metric]}, macro; {beside}: their macro H-means")
    print_table(thresholds)
    for entry in report.entries:
        if entry.crossfit is not None:
            typer.echo(f"{entry.name}: {entry.crossfit:.4f} cross-fitted: on images left out of the choice")
        for axis in entry.at_bounds:
            value = getattr(entry.thresholds, axis)
            typer.echo(f"{entry.name}: {axis} {value:g} lies at an end of its range: widen it")
    if report.constraint is not None:
        typer.echo(f"best and robust keep {report.constraint}")
    for line in _remarks(report):
        typer.echo(line)
    typer.echo(f"* recommended: {report.selected}")


def _remarks(report: PostprocessReport) -> Iterator[str]:
    """What the numbers alone do not say."""
    quads = [found.lattice for found in report.landscapes if not found.lattice.use_polygon]
    coarse = [found.lattice for found in report.landscapes if found.lattice.use_polygon]
    if coarse and (not quads or len(coarse[0].thresh) < len(quads[0].thresh)):
        n_thresh, n_ratios = len(coarse[0].thresh), len(coarse[0].unclip_ratio)
        finer = "finer by -s polygon_thresh_step and polygon_unclip_step"
        yield f"polygons: {n_thresh} values of thresh, {n_ratios} of unclip_ratio; {finer}"
    if report.constraint is not None and all(entry.crossfit is None for entry in report.entries):
        yield f"not cross-fitted: without some fifth of the images nothing keeps {report.constraint}"
    current, by_rule = report.entry("current"), report.entry(report.rule)
    if current.thresholds == by_rule.thresholds or current.macro.hmean <= by_rule.macro.hmean:
        return
    if report.selected == "current":
        yield f"{report.rule} scores lower than what is in use: nothing to change"
    else:
        yield f"what is in use scores higher than {report.rule}, but lies outside of what was asked for"


def _scores(entry: Entry, others: Sequence[Metric]) -> list[str]:
    macro = entry.macro
    low, high = entry.interval()
    return [
        f"{macro.precision:.4f}",
        f"{macro.recall:.4f}",
        f"{macro.hmean:.4f}",
        f"{macro.precision - macro.recall:+.4f}",
        f"{low:.4f}-{high:.4f}",
        *(f"{entry.evaluation.scores.of(metric).macro.hmean:.4f}" for metric in others),
        f"{entry.n_boxes}",
    ]


def _thresholds(entry: Entry) -> list[str]:
    used = entry.thresholds
    outlines = "polygons" if used.use_polygon else "quads"
    return [
        f"{used.thresh:g}",
        f"{used.box_thresh:g}",
        f"{used.unclip_ratio:g}",
        f"{used.max_candidates}",
        outlines,
    ]
