"""Colours that people with any of the common colour-vision deficiencies can tell apart.

The eight colours of Okabe and Ito, "Color Universal Design" (2008), as (r, g, b), 0..255. One meaning has
one colour in every picture: words are green, detections blue, what was missed vermillion.
"""

from __future__ import annotations

from functools import cache

import matplotlib
import numpy as np
from numpy.typing import NDArray

Rgb = tuple[int, int, int]

BLACK: Rgb = (0, 0, 0)
ORANGE: Rgb = (230, 159, 0)
SKY_BLUE: Rgb = (86, 180, 233)
BLUISH_GREEN: Rgb = (0, 158, 115)
YELLOW: Rgb = (240, 228, 66)
BLUE: Rgb = (0, 114, 178)
VERMILLION: Rgb = (213, 94, 0)
REDDISH_PURPLE: Rgb = (204, 121, 167)

WHITE: Rgb = (255, 255, 255)
GREY: Rgb = (95, 95, 95)

OKABE_ITO: tuple[Rgb, ...] = (
    BLUE,
    VERMILLION,
    BLUISH_GREEN,
    REDDISH_PURPLE,
    ORANGE,
    SKY_BLUE,
    YELLOW,
    BLACK,
)
"""In the order in which series take them: neighbours contrast most."""

HEAT_MAP = "inferno"
"""Matplotlib's name of the map for probabilities: perceptually uniform, also without hue."""


def hex_colour(rgb: Rgb) -> str:
    """``#rrggbb``, as matplotlib and HTML take it."""
    return "#{:02x}{:02x}{:02x}".format(*rgb)


@cache
def heat_table() -> NDArray[np.uint8]:
    """The 256 colours of the heat map, (256, 3), read-only."""
    table = np.asarray(matplotlib.colormaps[HEAT_MAP](np.arange(256), bytes=True), dtype=np.uint8)[:, :3]
    table.setflags(write=False)
    return table
