"""What lies about on the table: pens, cards, cups, each with a shadow.

Drawn into a uint8 (height, width, 3) RGB picture of the bare table; points are (x, y) in its pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]
_SHADOW_SHIFT = (4, 5)
_SHADOW_REACH = 14  # shift and blur together


def scatter(rng: np.random.Generator, image: Image, *, n: int) -> None:
    """Draw ``n`` things into ``image``."""
    for _ in range(n):
        _THINGS[int(rng.integers(len(_THINGS)))](rng, image)


def _pen(rng: np.random.Generator, image: Image) -> None:
    angle, half = rng.uniform(0, 2 * np.pi), rng.uniform(3, 7)
    reach = max(image.shape) * rng.uniform(0.1, 0.22) * np.array([np.cos(angle), np.sin(angle)])
    side = half * np.array([-np.sin(angle), np.cos(angle)])
    middle, colour = _somewhere(rng, image), _colour(rng)
    tail, head = middle - reach, middle + reach
    tip = head + 2 * half * reach / np.linalg.norm(reach)
    _place(image, np.array([tail - side, tail + side, head + side, tip, head - side]), colour)
    glint = np.round([tail + 0.4 * side, head + 0.4 * side]).astype(np.int32)
    red, green, blue = (min(value + 70, 255) for value in colour)
    cv2.polylines(image, [glint], False, (red, green, blue), 1, cv2.LINE_AA)


def _card(rng: np.random.Generator, image: Image) -> None:
    """A bank card or leaflet: a rectangle with stripes."""
    angle, width = rng.uniform(0, 2 * np.pi), max(image.shape) * rng.uniform(0.15, 0.35)
    along = width * np.array([np.cos(angle), np.sin(angle)])
    down = width * rng.uniform(0.5, 0.9) * np.array([-np.sin(angle), np.cos(angle)])
    corner = _somewhere(rng, image) - (along + down) / 2
    _place(image, np.array([corner, corner + along, corner + along + down, corner + down]), _colour(rng))
    for _ in range(int(rng.integers(1, 5))):
        start = corner + 0.1 * along + rng.uniform(0.1, 0.8) * down
        stripe = np.array([start, start + 0.8 * along, start + 0.8 * along + 0.1 * down, start + 0.1 * down])
        _fill(image, stripe, _colour(rng))


def _cup(rng: np.random.Generator, image: Image) -> None:
    """A cup or coin from above: rings."""
    centre, radius = _somewhere(rng, image), max(image.shape) * rng.uniform(0.03, 0.13)
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    circle = radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    _place(image, centre + circle, _colour(rng))
    for share in sorted(rng.uniform(0.3, 0.92, 2), reverse=True):
        _fill(image, centre + share * circle, _colour(rng))


_THINGS: tuple[Callable[[np.random.Generator, Image], None], ...] = (_pen, _card, _cup)


def _somewhere(rng: np.random.Generator, image: Image) -> NDArray[np.float64]:
    """Near the frame, where the receipt does not cover it."""
    height, width = image.shape[:2]
    place = rng.uniform(0.0, 1.0, 2)
    place[int(rng.integers(2))] = rng.choice([rng.uniform(-0.02, 0.15), rng.uniform(0.85, 1.02)])
    return np.asarray(place * np.array([width, height]), dtype=np.float64)


def _colour(rng: np.random.Generator) -> Colour:
    red, green, blue = rng.integers(20, 240, 3)
    return int(red), int(green), int(blue)


def _place(image: Image, outline: NDArray[np.float64], colour: Colour) -> None:
    """A filled shape that darkens the table beside it."""
    points = np.round(outline).astype(np.int32)
    low, high = np.maximum(points.min(axis=0), 0), np.maximum(points.max(axis=0) + _SHADOW_REACH, 0)
    table = image[low[1] : high[1], low[0] : high[0]]
    if table.size:
        mask = np.zeros(table.shape[:2], np.uint8)
        cv2.fillPoly(mask, [(points - low + np.array(_SHADOW_SHIFT)).astype(np.int32)], 110)
        light = 1.0 - cv2.blur(mask, (9, 9)).astype(np.float32) / 255.0
        table[...] = (table * light[:, :, None]).astype(np.uint8)
    _fill(image, outline, colour)


def _fill(image: Image, outline: NDArray[np.float64], colour: Colour) -> None:
    cv2.fillPoly(image, [np.round(outline).astype(np.int32)], colour, cv2.LINE_AA)
