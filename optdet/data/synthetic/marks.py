"""Print that is not text: rulings, barcodes, logos. Masks as in ``fonts``: uint8 (h, w), 255 = full ink."""

from __future__ import annotations

import cv2
import numpy as np

from optdet.data.synthetic.fonts import Mask, TypeStyle, word_mask


def rule_mask(rng: np.random.Generator, style: TypeStyle, width: int) -> Mask:
    """A ruling: a line, two lines, drawn dashes, or a row of characters as tills print them."""
    kind = int(rng.integers(5))
    thickness = max(1, style.size // 12)
    if kind >= 3:
        character = "-=*_."[int(rng.integers(5))]
        count = int(width / max(style.advance(character), 1.0))
        word = word_mask(style, character * max(count, 1))
        if word is not None:
            return word.mask[:, :width]
    mask = np.zeros((thickness * (3 if kind == 1 else 1), width), np.uint8)
    if kind == 2:
        dash = int(rng.integers(3, 8)) * thickness
        mask[:, np.arange(width) % (2 * dash) < dash] = 255
    else:
        mask[:thickness] = 255
        mask[-thickness:] = 255
    return mask


def barcode_mask(rng: np.random.Generator, width: int, height: int) -> Mask:
    """Bars of one to four modules' width."""
    module = max(2, width // int(rng.integers(90, 140)))
    runs = rng.integers(1, 5, size=width // module + 1) * module
    ends = np.cumsum(runs)
    columns = np.searchsorted(ends, np.arange(width), side="right") % 2 == 0
    return np.repeat(np.where(columns, 255, 0).astype(np.uint8)[None, :], height, axis=0)


def logo_mask(rng: np.random.Generator, width: int, height: int) -> Mask:
    """A drawn sign: one to three simple shapes, some cut out of the others."""
    mask = np.zeros((height, width), np.uint8)
    centre = np.array([width / 2.0, height / 2.0])
    radius = 0.48 * height
    for layer in range(int(rng.integers(1, 4))):
        colour = 255 if layer % 2 == 0 else 0
        _draw_shape(rng, mask, centre, radius, colour)
        radius *= rng.uniform(0.5, 0.75)
    return mask


def _draw_shape(rng: np.random.Generator, mask: Mask, centre: np.ndarray, radius: float, colour: int) -> None:
    kind = int(rng.integers(4))
    point = (round(centre[0]), round(centre[1]))
    if kind == 0:
        cv2.circle(mask, point, int(radius), colour, -1, cv2.LINE_AA)
    elif kind == 1:
        wide = int(min(radius * rng.uniform(1.2, 2.5), mask.shape[1] * 0.48))
        cv2.ellipse(mask, point, (wide, int(radius)), 0, 0, 360, colour, max(2, int(radius / 5)), cv2.LINE_AA)
    elif kind == 2:
        corners = int(rng.integers(3, 9))
        angles = 2.0 * np.pi * (np.arange(2 * corners) / (2 * corners)) + rng.uniform(0, np.pi)
        reach = np.where(np.arange(2 * corners) % 2 == 0, radius, radius * rng.uniform(0.4, 0.95))
        star = centre + np.stack([np.cos(angles) * reach, np.sin(angles) * reach], axis=1)
        cv2.fillPoly(mask, [np.round(star).astype(np.int32)], colour, cv2.LINE_AA)
    else:
        for i in range(3):
            y = round(centre[1] + radius * (i - 1) * 0.6)
            half = int(radius * (1.6 - 0.4 * i))
            cv2.line(
                mask, (point[0] - half, y), (point[0] + half, y), colour, max(2, int(radius / 4)), cv2.LINE_AA
            )
