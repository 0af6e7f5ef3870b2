"""An error analysis on the terminal, 80 columns."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import typer

from optdet.cli.again import command_line
from optdet.cli.tables import pairs
from optdet.cli.text_table import TextTable, print_table
from optdet.phrases import counted

if TYPE_CHECKING:
    from optdet.evaluation.error_buckets import Bucket, Property, Share
    from optdet.evaluation.error_report import ErrorReport
    from optdet.tuning.side import Side

_N_WORST = 5


def analysis_tables(side: Side, report: ErrorReport) -> None:
    at = "" if side.thresholds is None else f" at {pairs(side.thresholds.as_dict())}"
    typer.echo(textwrap.fill(f"{side.title}{at}", 80))
    _head(report)
    _kinds(report)
    recall = report.character_recall
    for each in report.properties:
        typer.echo()
        _property(each, recall)
    if any(bucket.is_worse_than(recall) for each in report.properties for bucket in each.buckets):
        typer.echo(f"\n* the interval lies below the recall of all words, {recall:.3f}")
    _worst(report)


def report_hint(side: Side, *, storage: str | None, root: str | None) -> None:
    """How to look at the errors, where a study's report shows them: not out of fold, whose images it has only
    once thresholds were tuned on all folds."""
    studies = [origin.source for origin in side.origins if origin.study_uuid is not None]
    if len(studies) == 1 and not studies[0].endswith(":oof"):
        study = studies[0].partition(":")[0]
        typer.echo(f"look at them: {command_line(['report', study], storage, root, '--out', 'report.html')}")


def _head(report: ErrorReport) -> None:
    macro = report.macro
    n_words = sum(image.n_words for image in report.images)
    n_detections = sum(len(image.detections) for image in report.images)
    typer.echo(
        f"{counted(len(report.images), 'image')}, {counted(n_words, 'word')},"
        f" {counted(n_detections, 'detection')}; CLEval {report.profile}, macro:"
        f"\nH-mean {macro.hmean:.4f}, precision {macro.precision:.4f}, recall {macro.recall:.4f}\n"
    )


def _kinds(report: ErrorReport) -> None:
    table = TextTable(("error", "number", "images", "characters", "costs", "95 % interval"))
    for kind in report.kinds:
        low, high = kind.interval
        counts = [str(kind.number), str(kind.n_images), str(kind.n_characters)]
        table.add_row(kind.text, *counts, f"{kind.cost:.4f}", f"{low:.4f} {high:.4f}")
    table.add_row("all of them", "", "", "", f"{report.repaired - report.macro.hmean:.4f}", "")
    print_table(table)
    typer.echo(
        "costs: what the H-mean would gain were this kind alone repaired;"
        f"\nthey do not add up to the last line, but to {report.sum_of_costs:.4f}"
    )
    both = report.mismatches
    if both.n_words:
        under = counted(both.n_detections, "false detection")
        typer.echo(
            f"{counted(both.n_words, 'missed word')} under {under} (too large, or mostly beside);"
            "\nboth repaired would gain {:.4f} ({:.4f} {:.4f})".format(both.cost, *both.interval)
        )
    if report.n_wordless:
        typer.echo(
            f"{counted(report.n_wordless, 'image')} without words: the H-mean is 0 there, whatever is found"
        )


def _property(shown: Property, recall: float) -> None:
    typer.echo(shown.title)
    table = TextTable(("", "words", "missed", "split", "merged", "recall", "95 %", "found", "false"))
    for bucket in shown.buckets:
        if not bucket.is_empty:
            table.add_row(bucket.label, *_cells(bucket, recall))
    print_table(table)
    empty = [bucket.label for bucket in shown.buckets if bucket.is_empty]
    if empty:
        typer.echo(textwrap.fill(f"nothing: {', '.join(empty)}", 80))


def _cells(bucket: Bucket, recall: float) -> list[str]:
    counts = [bucket.n_missed, bucket.n_split, bucket.n_merged]
    rates = [f"{100 * count / bucket.n_words:.1f}%" if bucket.n_words else "" for count in counts]
    mark = "*" if bucket.is_worse_than(recall) else ""
    shown = "" if bucket.recall.value is None else f"{bucket.recall.value:.3f}{mark}"
    return [str(bucket.n_words), *rates, shown, _interval(bucket.recall), *_false(bucket.false)]


def _interval(share: Share) -> str:
    return "" if share.interval is None else "{:.2f}-{:.2f}".format(*share.interval)


def _false(share: Share | None) -> list[str]:
    """How many detections have such a shape, and the share of them that is false."""
    if share is None:
        return ["", ""]
    return [str(share.whole), "" if share.value is None else f"{100 * share.value:.1f}%"]


def _worst(report: ErrorReport) -> None:
    from optdet.evaluation.error_costs import KIND_TEXTS, image_cost

    worst = report.worst(_N_WORST)
    typer.echo(f"\nworst images{'' if worst else ': none, nothing is wrong'}")
    for image in worst:
        assert image.main is not None
        gain = image_cost(image.errors, {image.main})
        typer.echo(f"  {image.hmean:.4f}  {image.name}: {KIND_TEXTS[image.main]} cost {gain:.4f}")
