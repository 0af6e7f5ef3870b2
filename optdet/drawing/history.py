"""A study's values by trial, and the best so far.

Values are maximised, 0..1. Only complete trials count for the best; a pruned trial shows its last report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from optdet.drawing.figure import new_figure, rendered, say_empty, set_heading
from optdet.drawing.palette import BLACK, BLUE, ORANGE, VERMILLION, hex_colour
from optdet.drawing.png import write_png

TrialState = Literal["complete", "pruned", "failed"]
_MARKS: dict[TrialState, tuple[str, str]] = {
    "complete": ("o", hex_colour(BLUE)),
    "pruned": ("v", hex_colour(ORANGE)),
    "failed": ("X", hex_colour(VERMILLION)),
}


@dataclass(frozen=True, slots=True)
class StudyPoint:
    """One ended trial; ``value`` is None where none is known, as for most failed ones."""

    number: int
    value: float | None
    state: TrialState


def draw_history(values: Sequence[StudyPoint], path: Path) -> None:
    """Write a PNG of 1000 x 500 pixels."""
    figure = new_figure(height=500)
    axes = figure.subplots()
    if not values:
        say_empty(axes, "no trial has ended yet")
    else:
        points = sorted(values, key=lambda point: point.number)
        _draw_best(axes, points)
        for state in _MARKS:
            _draw_marks(axes, [point for point in points if point.state == state], state)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlim(points[0].number - 0.5, points[-1].number + 0.5)
        axes.margins(y=0.12)
        axes.set_xlabel("trial", fontsize=11)
        axes.set_ylabel("H-mean", fontsize=11)
        figure.legend(loc="outside lower center", ncols=4, fontsize=10, frameon=False)
    write_png(path, rendered(figure))


def _draw_best(axes: Axes, points: Sequence[StudyPoint]) -> None:
    """The best so far as a staircase, up to the last trial."""
    scored = [(p.number, p.value) for p in points if p.state == "complete" and p.value is not None]
    if not scored:
        set_heading(axes, f"No complete trial among {len(points)}")
        return
    number, value = max(scored, key=lambda pair: pair[1])
    set_heading(axes, f"Best H-mean {value:.4f} in trial {number}")
    bests = list(accumulate((score for _, score in scored), max))
    axes.step(
        [*(trial for trial, _ in scored), points[-1].number],
        [*bests, bests[-1]],
        where="post",
        color=hex_colour(BLACK),
        linewidth=1.5,
        label="best so far",
    )
    axes.plot([number], [value], color=hex_colour(VERMILLION), marker="*", markersize=17, zorder=4)


def _draw_marks(axes: Axes, points: Sequence[StudyPoint], state: TrialState) -> None:
    if not points:
        return
    marker, colour = _MARKS[state]
    known = [(point.number, point.value) for point in points if point.value is not None]
    unknown = [point.number for point in points if point.value is None]
    label = f"{state} ({len(points)})"
    if known:
        numbers, values = zip(*known, strict=True)
        axes.scatter(numbers, values, marker=marker, color=colour, s=45, zorder=3, label=label)
    # Trials without a value stand on the lower edge, whatever the scale of the others.
    axes.scatter(
        unknown,
        [0.02] * len(unknown),
        marker=marker,
        color=colour,
        s=45,
        zorder=3,
        clip_on=False,
        transform=axes.get_xaxis_transform(),
        label=None if known else label,
    )
