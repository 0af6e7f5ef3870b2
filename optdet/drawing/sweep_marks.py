"""The marks of named configurations, and their labels: one look in both panels and on the page.

A mark differs from the others by its shape, so that it can be told without seeing its colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation

from optdet.drawing.label_places import nearest_on_box, place_labels
from optdet.drawing.palette import BLUISH_GREEN, ORANGE, REDDISH_PURPLE, SKY_BLUE, VERMILLION, Rgb, hex_colour
from optdet.drawing.sweep_view import NamedPoint
from optdet.drawing.typeface import readable

_LONGEST_NAME = 24


@dataclass(frozen=True, slots=True)
class Mark:
    """``shape`` in matplotlib's words, ``symbol`` in plotly's; ``size`` in points; ``layer`` 5 on top.

    ``side`` is where the page writes the label, in plotly's words: marks at one place keep theirs apart.
    """

    colour: Rgb
    shape: str
    symbol: str
    size: float
    layer: int
    side: str


CHOSEN = "chosen"
"""The thresholds that tuning chose: what a detector is used with."""
HIGHEST = "highest tried"
"""The point of the highest score, whether or not a rule chooses it."""
_MARKS = {
    "default": Mark(SKY_BLUE, "s", "square", 11, 2, "bottom left"),
    "current": Mark(REDDISH_PURPLE, "D", "diamond", 9, 3, "bottom right"),
    "robust": Mark(BLUISH_GREEN, "p", "pentagon", 13, 4, "top left"),
    "best": Mark(VERMILLION, "*", "star", 18, 5, "top right"),
}
_MARKS |= {
    CHOSEN: replace(_MARKS["current"], layer=6),
    HIGHEST: _MARKS["best"],
}
_CANDIDATE = Mark(ORANGE, "o", "circle", 6.5, 1, "top center")


def mark_of(name: str) -> Mark:
    return _MARKS.get(name, _CANDIDATE)


def is_chosen(name: str) -> bool:
    """Whether it is one of those that have marks of their own."""
    return name in _MARKS


def short_name(name: str) -> str:
    """One line of at most 24 characters."""
    line = readable(name)
    return line if len(line) <= _LONGEST_NAME else f"{line[: _LONGEST_NAME - 1]}…"


def draw_marks(axes: Axes, points: Sequence[NamedPoint], *, x: str, y: str) -> None:
    """A mark for each point, at the two of its fields that ``x`` and ``y`` name."""
    for point in points:
        mark = mark_of(point.name)
        axes.plot(
            [getattr(point, x)],
            [getattr(point, y)],
            marker=mark.shape,
            markersize=mark.size,
            color=hex_colour(mark.colour),
            markeredgecolor="white",
            markeredgewidth=1.0,
            linestyle="none",
            zorder=20 + mark.layer,
            path_effects=[withStroke(linewidth=2.2, foreground="black")],
            clip_on=False,
        )


def label_marks(axes: Axes, points: Sequence[NamedPoint], labels: Sequence[str], *, x: str, y: str) -> None:
    """Labels with leaders, apart from one another; the figure's layout must be final."""
    if not points:
        return
    # The chosen ones first: they get the places beside their marks.
    ranked = sorted(range(len(points)), key=lambda i: -mark_of(points[i].name).layer)
    places = np.array([[getattr(points[i], x), getattr(points[i], y)] for i in ranked])
    marks = axes.transData.transform(places)
    texts = [_text(axes, labels[i], chosen=points[i].name == "best") for i in ranked]
    renderer = FigureCanvasAgg(axes.figure.figure).get_renderer()  # type: ignore[no-untyped-call]
    boxes = [text.get_window_extent(renderer) for text in texts]
    sizes = np.array([[box.width + 7, box.height + 5] for box in boxes])
    area = axes.get_window_extent(renderer)
    middles = place_labels(marks, sizes, (area.x0 + 3, area.y0 + 3, area.x1 - 3, area.y1 - 3))
    to_data = axes.transData.inverted()
    ends = nearest_on_box(middles, sizes - 4, marks)
    for text, place, middle, end in zip(texts, places, middles, ends, strict=True):
        text.set_position(tuple(to_data.transform(middle)))
        segment = np.stack([place, to_data.transform(end)])
        axes.plot(
            *segment.T,
            color="black",
            linewidth=0.9,
            zorder=19,
            path_effects=[withStroke(linewidth=2.4, foreground="white", alpha=0.8)],
        )


def _text(axes: Axes, label: str, *, chosen: bool) -> Annotation:
    return axes.annotate(
        label,
        (0, 0),
        xytext=(0, 0),
        textcoords="data",
        ha="center",
        va="center",
        fontsize=9.5,
        fontweight="bold" if chosen else "normal",
        zorder=30,
        parse_math=False,
        annotation_clip=False,
        bbox={
            "boxstyle": "round,pad=0.15",
            "facecolor": "white",
            "edgecolor": "#555555",
            "linewidth": 0.6,
            "alpha": 0.9,
        },
    )
