"""What each kind of error costs, and where errors are, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from optdet.drawing.figure import new_figure, rendered, say_empty, set_heading
from optdet.drawing.palette import BLACK, BLUE, ORANGE, REDDISH_PURPLE, VERMILLION, hex_colour
from optdet.drawing.png import write_png
from optdet.evaluation.error_buckets import Property
from optdet.evaluation.error_report import ErrorReport
from optdet.phrases import counted

_ROW_HEIGHT = 26
_PANEL_HEIGHT = 64
_FRAME_HEIGHT = 120
_COLOURS: Final = {
    "characters lost": VERMILLION,
    "words split": ORANGE,
    "words merged": REDDISH_PURPLE,
    "detections false": BLUE,
}


def draw_costs(report: ErrorReport, path: Path) -> None:
    """Write a PNG of 1000 pixels' width: a bar a kind, the most costly on top, with its interval."""
    figure = new_figure(height=_FRAME_HEIGHT + 62 * len(report.kinds))
    axes = figure.subplots()
    set_heading(axes, f"What each kind of error costs: H-mean {report.macro.hmean:.4f} now")
    for place, kind in enumerate(report.kinds):
        axes.barh(place, kind.cost, color=hex_colour(BLUE), height=0.62)
        _draw_interval(axes, place, kind.interval)
        axes.annotate(
            f"{kind.cost:.4f}  ({kind.number} in {counted(kind.n_images, 'image')})",
            (max(kind.cost, kind.interval[1]), place),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set_yticks(range(len(report.kinds)), [kind.text for kind in report.kinds])
    axes.set_ylim(len(report.kinds) - 0.4, -0.6)
    axes.set_xlim(0, max(1e-3, 1.4 * max(max(kind.cost, kind.interval[1]) for kind in report.kinds)))
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("macro H-mean gained were this kind alone repaired; line: 95 % interval")
    write_png(path, rendered(figure))


def draw_buckets(report: ErrorReport, path: Path) -> None:
    """Write a PNG with two panels a property: what becomes of its words, and which detections are false.

    Bars are shares of characters (lost), of words (split, merged) and of detections (false), with the 95 %
    intervals of the first and the last; what there is none of has no bar.
    """
    shown = [each for each in report.properties if any(not bucket.is_empty for bucket in each.buckets)]
    n_rows = [max(3, sum(not bucket.is_empty for bucket in each.buckets)) for each in shown]
    heights = [_PANEL_HEIGHT + _ROW_HEIGHT * n for n in n_rows]
    figure = new_figure(width=1300, height=_FRAME_HEIGHT + sum(heights))
    if not shown:
        say_empty(figure.subplots(), "no word and no detection")
    else:
        grid = figure.subplots(len(shown), 2, squeeze=False, height_ratios=heights)
        for (left, right), each in zip(grid, shown, strict=True):
            _draw_words(left, each)
            _draw_detections(right, each)
        colours = [Patch(color=hex_colour(colour), label=text) for text, colour in _COLOURS.items()]
        figure.legend(handles=colours, loc="outside upper center", ncols=len(colours), frameon=False)
    write_png(path, rendered(figure))


def _draw_words(axes: Axes, shown: Property) -> None:
    set_heading(axes, shown.title)
    buckets = [bucket for bucket in shown.buckets if not bucket.is_empty]
    for place, bucket in enumerate(buckets):
        recall = bucket.recall
        if recall.value is not None:
            axes.barh(
                place - 0.27, 1 - recall.value, color=hex_colour(_COLOURS["characters lost"]), height=0.27
            )
        if recall.interval is not None:
            _draw_interval(axes, place - 0.27, tuple(1 - bound for bound in recall.interval))
        if bucket.n_words:
            for shift, text, number in (
                (0.0, "words split", bucket.n_split),
                (0.27, "words merged", bucket.n_merged),
            ):
                colour = hex_colour(_COLOURS[text])
                axes.barh(place + shift, number / bucket.n_words, color=colour, height=0.27)
    _label(axes, [f"{bucket.label}  ({counted(bucket.n_words, 'word')})" for bucket in buckets])


def _draw_detections(axes: Axes, shown: Property) -> None:
    shares = [(bucket, bucket.false) for bucket in shown.buckets if bucket.false and bucket.false.whole]
    if not shares:
        say_empty(axes, "words only" if shown.buckets[0].false is None else "no detections")
        return
    set_heading(axes, "")
    for place, (_, false) in enumerate(shares):
        axes.barh(place, false.part / false.whole, color=hex_colour(_COLOURS["detections false"]), height=0.6)
        if false.interval is not None:
            _draw_interval(axes, place, false.interval)
    _label(axes, [f"{bucket.label}  ({counted(false.whole, 'detection')})" for bucket, false in shares])


def _draw_interval(axes: Axes, place: float, interval: Sequence[float]) -> None:
    axes.plot(interval, [place] * 2, color=hex_colour(BLACK), linewidth=1.2, solid_capstyle="butt")


def _label(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), labels, fontsize=9)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(0, max(0.05, 1.02 * axes.get_xlim()[1]))
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
