"""Smooth random fields: what fading, light, wood and clouds of dirt are made of.

Fields are float32 (h, w) with values in 0..1, made from a coarse random grid: their cost does not depend
on how smooth they are.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


def smooth_field(
    rng: np.random.Generator, shape: tuple[int, int], cell: tuple[float, float] | float
) -> Field:
    """Value noise; ``cell`` is the distance between independent values in pixels, (vertical, horizontal)."""
    height, width = shape
    cell_y, cell_x = cell if isinstance(cell, tuple) else (cell, cell)
    grid = rng.random((2 + int(height / cell_y), 2 + int(width / cell_x)), dtype=np.float32)
    field = cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(field, 0.0, 1.0), dtype=np.float32)


def gradient(rng: np.random.Generator, shape: tuple[int, int]) -> Field:
    """A plane from 0 to 1 in a random direction, as light from one side gives."""
    height, width = shape
    angle = rng.uniform(0.0, 2.0 * np.pi)
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :] * np.float32(np.cos(angle))
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None] * np.float32(np.sin(angle))
    reach = np.float32(0.5 * (abs(np.cos(angle)) + abs(np.sin(angle))))
    return np.asarray((x + y) / (2.0 * reach) + 0.5, dtype=np.float32)
