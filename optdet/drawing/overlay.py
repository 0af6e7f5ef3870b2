"""One image with its words and detections, and the probability map beside it.

Words and detections are in image pixels; the map has the image's shape. What a polygon is can be told without
seeing hue: a missed word is filled, a false detection striped, an ignored word dashed, a matched detection a
broad line, a found word a thin one on top of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from optdet.drawing.canvas import Canvas, Picture, Points, Style
from optdet.drawing.flags import MatchFlags, match_flags
from optdet.drawing.heat import heat_over
from optdet.drawing.legend import Entry, draw_strip, strip_height
from optdet.drawing.palette import BLUE, BLUISH_GREEN, GREY, SKY_BLUE, VERMILLION
from optdet.structures import Detections, Word

_Scalar = TypeVar("_Scalar", np.uint8, np.float32)

WORD = Style(BLUISH_GREEN)
MISSED = Style(VERMILLION, width=1.5, inside="filled")
IGNORED = Style(GREY, width=1.5, dashed=True)
MATCHED = Style(SKY_BLUE, width=2.5)
FALSE = Style(BLUE, width=2, inside="hatched")

_MISSED_ON_MAP = Style(VERMILLION, width=1.5)
_FALSE_ON_MAP = Style(SKY_BLUE, width=1.5)

_SMALLEST_PANEL = 480
"""Longest side in pixels up to which a small image is enlarged, so that its lines do not hide it."""
_WIDE = 1.6
"""Width over height from which the map stands below the image rather than beside it."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Polygons that share a style and a place in the legend; ``on_map``: their look there, if any."""

    style: Style
    polygons: list[Points]
    text: str
    on_map: Style | None = None


@dataclass(frozen=True, slots=True)
class _Layout:
    """Sizes in pixels of the picture's parts."""

    panel_height: int
    panel_width: int
    width: int
    stacked: bool
    gap: int
    line: float


def draw_overlay(
    image: NDArray[np.uint8],
    *,
    words: Sequence[Word],
    detections: Detections | None,
    prob_map: NDArray[np.floating[Any]] | None,
    title: str,
    matched: MatchFlags | None = None,
    longest_side: int = 1600,
) -> Picture:
    """A picture of at most ``longest_side`` pixels a side, RGB.

    ``image`` is (H, W, 3) RGB. Without ``detections`` the words are shown as labels, none of them missed;
    without ``prob_map`` the image stands alone. ``matched`` is :func:`match_flags` of the two unless given.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"expected a uint8 image of shape (H, W, 3), got {image.dtype} {image.shape}")
    if longest_side < 320:
        raise ValueError(f"expected a longest side of 320 pixels or more for the legend, got {longest_side}")
    if prob_map is not None and prob_map.shape != image.shape[:2]:
        raise ValueError(f"expected a map of the image's shape {image.shape[:2]}, got {prob_map.shape}")
    groups = _groups(words, detections, matched)
    entries = [Entry(group.style, group.text) for group in groups]
    if prob_map is not None:
        entries.append(Entry(None, "probability, 0 to 1"))
    size = max(12, round(longest_side / 80))
    layout = _layout(image.shape, entries, has_map=prob_map is not None, size=size, longest_side=longest_side)
    small = _resized(image, layout)
    panels = [_panel(small, image.shape, groups, layout.line)]
    if prob_map is not None:
        # OpenCV resizes no float16, which is what final maps are kept as.
        heat = heat_over(small, _resized(prob_map.astype(np.float32), layout))
        outlines = [replace(group, style=group.on_map) for group in groups if group.on_map is not None]
        panels.append(_panel(heat, image.shape, outlines, layout.line))
    strip = draw_strip(title, entries, width=layout.width, size=size, line=layout.line)
    return _composed(panels, strip, layout)


def _groups(words: Sequence[Word], detections: Detections | None, matched: MatchFlags | None) -> list[_Group]:
    """In drawing order: what is wrong comes last, on top."""
    ignored = [word.polygon for word in words if word.ignored]
    labelled = [word.polygon for word in words if not word.ignored]
    set_aside = [_Group(IGNORED, ignored, f"{len(ignored)} ignored")] if ignored else []
    total = _count(len(labelled), "word")
    if detections is None:
        return [_Group(WORD, labelled, total), *set_aside]
    flags = matched if matched is not None else match_flags(words, detections)
    found = [w.polygon for w, flag in zip(words, flags.found, strict=True) if flag and not w.ignored]
    missed = [w.polygon for w, flag in zip(words, flags.found, strict=True) if not flag and not w.ignored]
    calm = [p for p, false in zip(detections.polygons, flags.false, strict=True) if not false]
    false = [p for p, false in zip(detections.polygons, flags.false, strict=True) if false]
    return [
        _Group(MATCHED, calm, f"{_count(len(calm), 'detection')} on words"),
        _Group(WORD, found, f"{len(found)} of {total} found"),
        *set_aside,
        _Group(FALSE, false, f"{_count(len(false), 'detection')} false", _FALSE_ON_MAP),
        _Group(MISSED, missed, f"{_count(len(missed), 'word')} missed", _MISSED_ON_MAP),
    ]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _layout(
    shape: tuple[int, ...], entries: Sequence[Entry], *, has_map: bool, size: int, longest_side: int
) -> _Layout:
    """The largest panels that fit together with the legend, which has a least width to be legible."""
    height, width = shape[:2]
    stacked = has_map and width > _WIDE * height
    across, down = (1, 2) if stacked else (2 if has_map else 1, 1)
    gap = max(2, size // 3)
    total_width = min(longest_side, 36 * size)
    panel_height = panel_width = 1
    # Twice: the wider picture of the first pass has a lower legend, which leaves more room for the panels.
    for _ in range(2):
        room = longest_side - strip_height(entries, width=total_width, size=size)
        fit = min(
            (longest_side - gap * (across - 1)) / (across * width),
            (room - gap * (down - 1)) / (down * height),
        )
        scale = min(fit, max(1.0, _SMALLEST_PANEL / max(height, width)))
        panel_height, panel_width = max(1, int(height * scale)), max(1, int(width * scale))
        total_width = max(total_width, panel_width * across + gap * (across - 1))
    return _Layout(
        panel_height=panel_height,
        panel_width=panel_width,
        width=total_width,
        stacked=stacked,
        gap=gap,
        line=max(1.0, max(panel_height, panel_width) / 900),
    )


def _resized(pixels: NDArray[_Scalar], layout: _Layout) -> NDArray[_Scalar]:
    shrinks = layout.panel_width <= pixels.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    size = (layout.panel_width, layout.panel_height)
    return np.asarray(cv2.resize(pixels, size, interpolation=how), dtype=pixels.dtype)


def _panel(picture: Picture, shape: tuple[int, ...], groups: Sequence[_Group], line: float) -> Picture:
    """``picture`` with polygons of an image of ``shape`` drawn onto a copy of it."""
    height, width = picture.shape[:2]
    scale = np.array([width / shape[1], height / shape[0]])
    canvas = Canvas(height, width, line=line)
    canvas.paste(picture, left=0, top=0)
    for group in groups:
        canvas.polygons([polygon * scale for polygon in group.polygons], group.style)
    return canvas.pixels


def _composed(panels: Sequence[Picture], strip: Picture, layout: _Layout) -> Picture:
    """Panels, centred, above the strip."""
    step_down = layout.panel_height + layout.gap if layout.stacked else 0
    step_right = 0 if layout.stacked else layout.panel_width + layout.gap
    last = len(panels) - 1
    content = layout.panel_width + step_right * last
    top_part = layout.panel_height + step_down * last
    canvas = Canvas(top_part + len(strip), layout.width)
    left = (layout.width - content) // 2
    for index, panel in enumerate(panels):
        canvas.paste(panel, left=left + index * step_right, top=index * step_down)
    canvas.paste(strip, left=0, top=top_part)
    return canvas.pixels
