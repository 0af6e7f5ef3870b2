"""Scores of several detectors below one another, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from optdet.drawing.figure import WIDTH, new_figure, rendered, set_heading
from optdet.drawing.palette import BLUE, GREY, VERMILLION, hex_colour
from optdet.drawing.png import write_png

_ROW_HEIGHT = 44
_FRAME_HEIGHT = 130
_MAX_HEIGHT = 3000


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """A score in its interval (low, high), all 0..1, and the cross-fitted one, if there is one."""

    name: str
    score: float
    low: float
    high: float
    crossfit: float | None = None
    marked: bool = False


def draw_intervals(rows: Sequence[IntervalRow], path: Path, *, heading: str, label: str) -> None:
    """Write a PNG of 1000 pixels' width, the first row on top; ``label`` says what the score is."""
    height = min(_MAX_HEIGHT, _FRAME_HEIGHT + _ROW_HEIGHT * len(rows))
    figure = new_figure(width=WIDTH, height=height)
    axes = figure.subplots()
    set_heading(axes, heading)
    has_crossfit = any(row.crossfit is not None for row in rows)
    for place, row in enumerate(rows):
        colour = hex_colour(VERMILLION if row.marked else BLUE)
        axes.plot([row.low, row.high], [place, place], color=colour, linewidth=2.5, solid_capstyle="butt")
        axes.plot([row.score], [place], marker="o", markersize=8, color=colour, linestyle="none")
        if row.crossfit is not None:
            axes.plot(
                [row.crossfit], [place], marker="|", markersize=18, markeredgewidth=2, color=hex_colour(GREY)
            )
        axes.annotate(
            f"{row.score:.4f}", (row.score, place), xytext=(0, 9), textcoords="offset points", ha="center"
        )
    axes.set_yticks(range(len(rows)), [row.name[-60:] for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.7)
    beside = "; grey: cross-fitted" if has_crossfit else ""
    axes.set_xlabel(f"{label}, 95 % interval{beside}")
    write_png(path, rendered(figure))
