"""Matplotlib figures as arrays of pixels: the Agg canvas alone, never pyplot's global state."""

from __future__ import annotations

import logging
import warnings

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from optdet.drawing.palette import GREY, hex_colour
from optdet.drawing.typeface import families, readable

WIDTH = 1000
HEIGHT = 700
_DPI = 100

# A Hangul font without a bold cut of that exact weight is drawn in its nearest: nobody has to hear of it.
logging.getLogger("matplotlib.font_manager").addFilter(
    lambda record: "Failed to find font weight" not in record.getMessage()
)


def new_figure(*, width: int = WIDTH, height: int = HEIGHT) -> Figure:
    """A figure of ``width`` x ``height`` pixels that keeps its labels from being clipped."""
    size = (width / _DPI, height / _DPI)
    return Figure(figsize=size, dpi=_DPI, layout="constrained", facecolor="white")


def rendered(figure: Figure) -> NDArray[np.uint8]:
    """The figure's pixels, (height, width, 3), RGB; a name in Hangul in a font that has it."""
    for text in figure.findobj(Text):
        if isinstance(text, Text) and not text.get_text().isascii():
            text.set_text(readable(text.get_text()))
            text.set_fontfamily(families())
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        # Of a character that no font has a box is drawn, here as in overlays, whose names are told of.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        canvas.draw()  # type: ignore[no-untyped-call]
    rgba = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(rgba[:, :, :3])


def set_heading(axes: Axes, text: str) -> None:
    """Say above the axes, at the left, what they show: nothing drawn inside can collide with it."""
    axes.set_title(text, loc="left", fontsize=12)
    axes.grid(visible=True, color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=10)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def say_empty(axes: Axes, text: str) -> None:
    """Axes without data: a sentence instead of an empty grid."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=14, color=hex_colour(GREY))
