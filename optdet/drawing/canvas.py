"""A picture under construction: polygons in a few styles, text, and other pictures laid onto it.

Coordinates are the canvas's own pixels, (x, y); the top left corner of the picture is (0, 0). A style differs
from the others by more than its hue, so that it can be told apart without seeing colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from optdet.drawing.palette import BLACK, WHITE, Rgb
from optdet.drawing.typeface import font_for, readable, shortened

Picture = NDArray[np.uint8]
Points = NDArray[Any]

_SHIFT = 4
"""Fractional bits of the coordinates that OpenCV takes."""
_FARTHEST = 100_000.0
"""Polygons may leave the picture; beyond this OpenCV's fixed-point numbers would overflow."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a polygon looks. ``width`` is a multiple of the canvas's line width."""

    colour: Rgb
    width: float = 1.0
    dashed: bool = False
    inside: Literal["empty", "filled", "hatched"] = "empty"


class Canvas:
    """Owns its pixels; ``line`` is the width of a thin line in pixels."""

    def __init__(self, height: int, width: int, *, line: float = 1.0, colour: Rgb = WHITE) -> None:
        self.pixels: Picture = np.empty((height, width, 3), dtype=np.uint8)
        self.pixels[:] = colour
        self.line = line

    def paste(self, picture: Picture, *, left: int, top: int) -> None:
        height, width = picture.shape[:2]
        self.pixels[top : top + height, left : left + width] = picture

    def polygons(self, polygons: Sequence[Points], style: Style) -> None:
        """Draw all polygons, each (N, 2), in one style."""
        clipped = [np.clip(polygon, -_FARTHEST, _FARTHEST) for polygon in polygons]
        if not clipped:
            return
        if style.inside != "empty":
            self._insides(clipped, style)
        thickness = max(1, round(self.line * style.width))
        lines = [stroke for polygon in clipped for stroke in _strokes(polygon, style, thickness)]
        fixed = [np.rint(stroke * (1 << _SHIFT)).astype(np.int32) for stroke in lines]
        cv2.polylines(self.pixels, fixed, not style.dashed, style.colour, thickness, cv2.LINE_AA, _SHIFT)

    def text(self, text: str, *, left: int, top: int, size: int, width: float, colour: Rgb = BLACK) -> None:
        """One line of ``size`` pixels, shortened to ``width``."""
        line = readable(text)
        font = font_for(line, size)
        image = Image.fromarray(self.pixels)
        ImageDraw.Draw(image).text((left, top), shortened(line, font, width), font=font, fill=colour)
        self.pixels = np.array(image)

    def _insides(self, polygons: Sequence[Points], style: Style) -> None:
        """Tint what the polygons enclose: all of it, or diagonal stripes of it."""
        height, width = self.pixels.shape[:2]
        mask = Image.new("1", (width, height))
        for polygon in polygons:
            ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in polygon], fill=1)
        area = np.asarray(mask, dtype=bool)
        strength = 0.4
        if style.inside == "hatched":
            period = max(5, round(6 * self.line))
            rows, columns = np.ogrid[:height, :width]
            area = area & ((rows + columns) % period < max(1, period // 3))
            strength = 0.85
        tinted = self.pixels[area] * (1 - strength) + np.asarray(style.colour) * strength
        self.pixels[area] = np.rint(tinted).astype(np.uint8)


def _strokes(polygon: Points, style: Style, thickness: int) -> list[Points]:
    """The outline as polylines: one closed ring, or its dashes."""
    if not style.dashed:
        return [polygon]
    # Round caps lengthen a dash by the line's thickness, and shorten the gap by as much.
    dash = 2.0 + 3.0 * thickness
    return [
        stroke
        for start, end in zip(polygon, np.roll(polygon, -1, axis=0), strict=True)
        for stroke in _dashes(start, end, dash)
    ]


def _dashes(start: Points, end: Points, dash: float) -> list[Points]:
    """Strokes of about ``dash`` pixels with gaps as long between them; every corner is drawn."""
    n_strokes = max(1, round(float(np.hypot(*(end - start))) / (2 * dash)))
    if n_strokes == 1:
        return [np.stack([start, end])]
    begins = np.arange(n_strokes) / (n_strokes - 0.5)
    ends = begins + 0.5 / (n_strokes - 0.5)
    steps = np.stack([begins, ends], axis=1)[:, :, None]
    return list(start + steps * (end - start))
