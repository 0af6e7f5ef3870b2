"""What a receipt is photographed on: a table, a cloth, a newspaper, a scanner's lid.

All functions take the picture's shape (height, width) and give uint8 (height, width, 3) RGB.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from optdet.data.synthetic.clutter import scatter
from optdet.data.synthetic.noise import Field, gradient, smooth_field

Image = NDArray[np.uint8]


def draw_background(rng: np.random.Generator, shape: tuple[int, int], difficulty: float) -> Image:
    """A surface, with ``difficulty`` a busier one and more things on it."""
    if rng.random() > 0.35 + 0.6 * difficulty:
        return _scanner(rng, shape)
    draw = _SURFACES[int(rng.integers(len(_SURFACES)))]
    image = draw(rng, shape)
    scatter(rng, image, n=int(rng.integers(0, 1 + round(6 * difficulty))))
    return image


def _between(low: tuple[float, float, float], high: tuple[float, float, float], field: Field) -> Image:
    """Colours from ``low`` (field 0) to ``high`` (field 1)."""
    steps = np.linspace(0.0, 1.0, 256)[:, None]
    ramp = np.array(low) + (np.array(high) - np.array(low)) * steps
    table = np.clip(ramp, 0, 255).astype(np.uint8)[:, None, :]
    level = np.clip(field * 255.0, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(cv2.merge([level] * 3), table), dtype=np.uint8)


def _scanner(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    lid = rng.uniform(215, 254) if rng.random() < 0.8 else rng.uniform(60, 140)
    return _between((lid - 8,) * 3, (lid,) * 3, gradient(rng, shape))


def _desk(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    base = rng.uniform(40, 215) + rng.uniform(-25, 25, 3)
    field = 0.6 * gradient(rng, shape) + 0.4 * smooth_field(rng, shape, rng.uniform(2, 60))
    spread = rng.uniform(10, 45)
    return _between(tuple(base - spread), tuple(base + spread), field)


def _wood(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """Rings drawn out along the grain, fine streaks, seams between planks."""
    height, width = shape if rng.random() < 0.5 else shape[::-1]
    across = np.arange(height, dtype=np.float32)[:, None] / np.float32(rng.uniform(6, 18))
    bend = smooth_field(rng, (height, width), (height / 4, width / 1.5))
    rings = 0.5 + 0.5 * np.sin(across + np.float32(rng.uniform(5, 25)) * bend)
    streaks = smooth_field(rng, (height, width), (1.5, width / rng.uniform(2, 6)))
    field = 0.5 * rings + 0.5 * streaks
    plank = int(rng.integers(60, 200))
    for seam in range(int(rng.integers(plank)), height, plank):
        field[seam : seam + 2] *= np.float32(0.25)
    light = np.array([rng.uniform(130, 225), rng.uniform(95, 170), rng.uniform(55, 120)])
    image = _between(tuple(light * rng.uniform(0.45, 0.75)), tuple(light), field)
    return image if image.shape[:2] == shape else np.ascontiguousarray(image.transpose(1, 0, 2))


def _cloth(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """A weave, sometimes with the checks of a table cloth."""
    height, width = shape
    period = rng.uniform(2.5, 6.0)
    x = np.sin(np.arange(width, dtype=np.float32) * np.float32(2 * np.pi / period))[None, :]
    y = np.sin(np.arange(height, dtype=np.float32) * np.float32(2 * np.pi / period))[:, None]
    field = 0.4 + 0.15 * x * y + 0.25 * smooth_field(rng, shape, rng.uniform(20, 90))
    if rng.random() < 0.5:
        check = int(rng.integers(14, 50))
        field += (
            np.float32(0.2) * (np.arange(width) // check % 2)[None, :]
            + np.float32(0.2) * (np.arange(height) // check % 2)[:, None]
        )
    dark = rng.uniform(20, 110, 3)
    return _between(tuple(dark), tuple(dark + rng.uniform(60, 140)), field.astype(np.float32))


def _printed(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """A newspaper underneath, too small to be read: bars for lines of print, blocks for pictures."""
    height, width = shape
    image = np.full((height, width, 3), int(rng.integers(190, 245)), np.uint8)
    pitch, ink = int(rng.integers(5, 11)), int(rng.integers(60, 150))
    column = int(rng.integers(60, 160))
    for left in range(0, width, column + 8):
        for y in range(int(rng.integers(pitch)), height, pitch):
            x = left
            while x < left + column - 4:
                end = min(x + int(rng.integers(4, 24)), left + column - 4)
                image[y : y + pitch // 2, x:end] = ink
                x = end + int(rng.integers(2, 5))
        block, y = int(rng.integers(30, 120)), int(rng.integers(height))
        image[y : y + block, left : left + column - 4] = rng.integers(60, 220, 3)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-35, 35), 1.0)
    turned = cv2.warpAffine(cv2.blur(image, (3, 3)), turn, (width, height), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(turned, dtype=np.uint8)


_SURFACES: tuple[Callable[[np.random.Generator, tuple[int, int]], Image], ...] = (
    _desk,
    _wood,
    _wood,
    _cloth,
    _printed,
)
