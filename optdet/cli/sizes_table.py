"""What the trials of a study cost, and what they find of small, middling and large words."""

from __future__ import annotations

from typing import Any

import typer

from optdet.cli.tables import how_far, short_value
from optdet.cli.text_table import TextTable, print_table
from optdet.phrases import short_names


def sizes_table(shown: dict[str, Any]) -> None:
    """``shown`` is that of ``study show --json``; trials that are complete, a row each."""
    trials = [row for row in shown["trials"] if row["by_word_height"]]
    typer.echo(how_far(shown))
    if not trials:
        typer.echo("none of them is complete, or an earlier optdet ran it, which kept no costs")
        return
    classes = trials[-1]["by_word_height"]
    names = short_names(shown["space"]).values()
    costs = ("batch", "GB", "images/s", "minutes")
    table = TextTable(("trial", *names, *costs, "H-mean", *(f"H {_range(each)}" for each in classes)))
    for row in trials:
        mark = "*" if row["number"] == shown["best"] else ""
        params = [short_value(row["params"].get(name)) for name in shown["space"]]
        table.add_row(f"{row['number']}{mark}", *params, *_costs(row), *_scores(row, len(classes)))
    print_table(table)
    typer.echo(
        "GB: the most memory of an epoch; H-mean: competition, macro; H by the height of words in the image,"
        "\npixels: recall of characters and share of detections that hold a word, over all images"
    )


def _costs(row: dict[str, Any]) -> list[str]:
    minutes = None if row["seconds"] is None else row["seconds"] / 60
    values = ((row["peak_memory_gb"], ".1f"), (row["images_per_s"], ".1f"), (minutes, ".1f"))
    return [str(row["batch_size"] or ""), *("" if value is None else f"{value:{to}}" for value, to in values)]


def _scores(row: dict[str, Any], n_classes: int) -> list[str]:
    """Empty where the trial had other labels, and so other classes."""
    by_height = row["by_word_height"] if len(row["by_word_height"]) == n_classes else []
    own = row["scores"]["competition"]["macro"]["hmean"]
    scores = [own, *(each["hmean"] for each in by_height)]
    return ["" if score is None else f"{score:.4f}" for score in scores] + [""] * (n_classes - len(by_height))


def _range(height: dict[str, Any]) -> str:
    low, high = height["low"], height["high"]
    if low is None:
        return "all" if high is None else f"< {high:g}"
    return f">= {low:g}" if high is None else f"{low:g}-{high:g}"
