"""A comparison on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from optdet.cli.tables import pairs, short_value
from optdet.cli.text_table import TextTable, print_table

if TYPE_CHECKING:
    from optdet.evaluation.comparison import Comparison, ImageDifference
    from optdet.evaluation.difference import Difference
    from optdet.evaluation.groups import Group
    from optdet.tuning.compared import Sides
    from optdet.tuning.side import Side

_MAX_SETTINGS = 12


def comparison_tables(sides: Sides, comparison: Comparison) -> None:
    typer.echo(f"A  {_side(sides.a)}")
    typer.echo(f"B  {_side(sides.b)}")
    _differing("thresholds", sides.thresholds())
    _differing("settings", sides.settings())
    typer.echo(f"\n{len(comparison.images)} images; every difference is B - A, above 0 where B is better")
    _scores(comparison)
    typer.echo()
    _groups("found, by height (words)", comparison.word_size)
    _groups("H-mean, words (images)", comparison.density)
    _images("most helped", comparison.helped())
    _images("most harmed", comparison.harmed())


def _side(side: Side) -> str:
    return side.title if side.thresholds is None else f"{side.title} at {pairs(side.thresholds.as_dict())}"


def _differing(what: str, values: dict[str, list[Any]] | None) -> None:
    if not values:
        return
    typer.echo(f"{what} that differ")
    for name, (a, b) in list(values.items())[:_MAX_SETTINGS]:
        typer.echo(f"  {name}: {short_value(a)} -> {short_value(b)}")
    if len(values) > _MAX_SETTINGS:
        typer.echo(f"  and {len(values) - _MAX_SETTINGS} more, all with --json")


def _scores(comparison: Comparison) -> None:
    table = _difference_table("score")
    for kind, scores in (("macro", comparison.macro), ("global", comparison.global_)):
        for part, label in (("hmean", "H-mean"), ("precision", "precision"), ("recall", "recall")):
            table.add_row(f"{kind} {label}", *_cells(getattr(scores, part)))
    table.add_row("official macro H-mean", *_cells(comparison.official.hmean))
    table.add_row("IoU@0.5 macro H-mean", *_cells(comparison.iou.hmean))
    print_table(table)


def _groups(title: str, groups: Sequence[Group]) -> None:
    table = _difference_table(title)
    for group in groups:
        if group.low is None or group.high is None or group.score is None:
            continue
        label = f"{group.name} {group.low:.3g}-{group.high:.3g} ({group.n_members})"
        table.add_row(label, *_cells(group.score, can_vary=group.n_members > 1))
    print_table(table)
    typer.echo()


def _difference_table(title: str) -> TextTable:
    return TextTable((title, "A", "B", "B - A", "SE", "95 % interval", "P>0"))


def _cells(score: Difference, *, can_vary: bool = True) -> list[str]:
    """``can_vary``: not of a single image or word, of which nothing can be resampled."""
    if not can_vary:
        return [f"{score.a:.4f}", f"{score.b:.4f}", f"{score.difference:+.4f}", "--", "--", "--"]
    low, high = score.interval
    interval = f"{low:+.4f} {high:+.4f}"
    return [
        f"{score.a:.4f}",
        f"{score.b:.4f}",
        f"{score.difference:+.4f}",
        f"{score.standard_error:.4f}",
        interval,
        f"{score.p_positive:.2f}",
    ]


def _images(title: str, images: Sequence[ImageDifference]) -> None:
    typer.echo(f"{title}{'' if images else ': none'}")
    for image in images:
        typer.echo(f"  {image.difference:+.4f}  {image.hmean_a:.4f} -> {image.hmean_b:.4f}  {image.image}")
