"""The strip under a picture: its title, and what each style means, with counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optdet.drawing.canvas import Canvas, Picture, Style
from optdet.drawing.palette import GREY, heat_table
from optdet.drawing.typeface import font_for


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the legend; a ``style`` of None shows the heat map's colours instead of a polygon."""

    style: Style | None
    text: str


@dataclass(frozen=True, slots=True)
class _Placed:
    entry: Entry
    left: float
    row: int


def strip_height(entries: Sequence[Entry], *, width: int, size: int) -> int:
    """Height in pixels of the strip that :func:`draw_strip` makes."""
    rows = 1 + max((placed.row for placed in _flow(entries, width, size)), default=-1)
    return _padding(size) * 2 + _title_height(size) + rows * _row_height(size)


def draw_strip(title: str, entries: Sequence[Entry], *, width: int, size: int, line: float) -> Picture:
    """The title, then the entries side by side in rows of text, ``size`` pixels high."""
    strip = Canvas(strip_height(entries, width=width, size=size), width, line=line)
    padding = _padding(size)
    strip.text(title, left=padding, top=padding, size=round(1.15 * size), width=width - 2 * padding)
    for placed in _flow(entries, width, size):
        top = padding + _title_height(size) + placed.row * _row_height(size)
        _draw_swatch(strip, placed.entry.style, left=placed.left, top=top + 0.15 * size, size=size)
        text_left = placed.left + _swatch_width(size) + 0.5 * size
        strip.text(
            placed.entry.text,
            left=round(text_left),
            top=top,
            size=size,
            width=width - text_left,
        )
    return strip.pixels


def _flow(entries: Sequence[Entry], width: int, size: int) -> list[_Placed]:
    """Entries side by side, broken into rows as words are into lines."""
    placed: list[_Placed] = []
    left, row = float(_padding(size)), 0
    for entry in entries:
        entry_width = _swatch_width(size) + 0.5 * size + font_for(entry.text, size).getlength(entry.text)
        if left + entry_width > width - _padding(size) and left > _padding(size):
            left, row = float(_padding(size)), row + 1
        placed.append(_Placed(entry, left, row))
        left += entry_width + 1.5 * size
    return placed


def _draw_swatch(strip: Canvas, style: Style | None, *, left: float, top: float, size: int) -> None:
    width, height = _swatch_width(size), 0.9 * size
    # Whole pixels: a thin line between two would be blurred to a paler colour than the one it explains.
    right, bottom = round(left + width), round(top + height)
    left, top = round(left), round(top)
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    if style is None:
        shades = np.linspace(0, 255, right - left).astype(np.uint8)
        gradient = np.broadcast_to(heat_table()[shades], (bottom - top, len(shades), 3))
        strip.paste(gradient, left=left, top=top)
        style = Style(GREY)
    strip.polygons([corners], style)


def _padding(size: int) -> int:
    return round(0.6 * size)


def _title_height(size: int) -> int:
    return round(1.8 * size)


def _row_height(size: int) -> int:
    return round(1.6 * size)


def _swatch_width(size: int) -> float:
    return 2.2 * size
