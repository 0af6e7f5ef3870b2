"""The strip under a picture: all entries, as many rows as the width asks for."""

from __future__ import annotations

import numpy as np

from optdet.drawing.canvas import Style
from optdet.drawing.legend import Entry, draw_strip, strip_height
from optdet.drawing.palette import BLUE, BLUISH_GREEN, VERMILLION, WHITE

ENTRIES = (
    Entry(Style(BLUISH_GREEN), "12 words found"),
    Entry(Style(VERMILLION, inside="filled"), "3 words missed"),
    Entry(Style(BLUE, inside="hatched"), "1 detection false"),
    Entry(None, "probability, 0 to 1"),
)


def strip(width: int) -> np.ndarray:
    return draw_strip("a.jpg", ENTRIES, width=width, size=16, line=1.0)


def test_a_narrow_strip_is_higher() -> None:
    heights = [strip_height(ENTRIES, width=width, size=16) for width in (300, 500, 2000)]
    assert heights == sorted(heights, reverse=True)
    assert heights[0] > heights[2]
    assert [len(strip(width)) for width in (300, 500, 2000)] == heights


def test_every_entry_is_shown_at_every_width() -> None:
    for width in (200, 300, 500, 2000):
        pixels = strip(width)
        for entry in ENTRIES[:3]:
            # A smoothed thin line has its full colour nowhere.
            assert (np.abs(pixels.astype(int) - entry.style.colour) <= 25).all(axis=2).any()


def test_nothing_touches_the_edges() -> None:
    pixels = strip(420)
    frame = [pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:]]
    assert all((edge == WHITE).all() for edge in frame)
