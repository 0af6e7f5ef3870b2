"""From a laid out page to a printed, used sheet of paper.

In: a ``Page`` in print pixels. Out: uint8 (height, width, 3) RGB of the same extent: nothing here moves a
pixel, so the page's quads hold. Faded print keeps at least ``LEAST_INK`` of its word's strength: every
labelled word can be read.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from optdet.data.synthetic.fonts import Mask
from optdet.data.synthetic.layout import Page
from optdet.data.synthetic.marks import logo_mask
from optdet.data.synthetic.noise import Field, gradient, smooth_field

Image = NDArray[np.uint8]
LEAST_INK = 0.45
_COARSE = 4  # soft effects are computed on a grid this many times coarser

# RGB of paper and ink; the first inks are thermal print, the last a ribbon.
_PAPERS = (
    (250, 250, 248),
    (243, 240, 230),
    (232, 232, 234),
    (248, 238, 238),
    (240, 236, 215),
    (222, 226, 232),
)
_INKS = ((28, 28, 32), (45, 42, 58), (60, 58, 62), (38, 46, 84), (74, 52, 92))


def draw_ink(page: Page) -> Mask:
    """Coverage of ink (height, width), 0..255, of all words and marks at their own strength."""
    ink = np.zeros((page.height, page.width), np.uint8)
    for mark in page.marks:
        place = ink[mark.y : mark.y + mark.mask.shape[0], mark.x : mark.x + mark.mask.shape[1]]
        np.maximum(place, mark.mask[: place.shape[0], : place.shape[1]], out=place)
    for word in page.words:
        mask, x, y = word.stamp.mask, word.stamp.x, word.stamp.y
        place = ink[y : y + mask.shape[0], x : x + mask.shape[1]]
        if word.inverse:
            np.minimum(place, 255 - mask, out=place)
        else:
            np.maximum(place, cv2.convertScaleAbs(mask, alpha=word.strength), out=place)
    return ink


def print_page(page: Page, rng: np.random.Generator, difficulty: float) -> Image:
    """The sheet as it lies in the hand: printed, faded, folded, scribbled on."""
    ink = draw_ink(page)
    shape = ink.shape
    ghost = _bleed_through(ink, rng) if rng.random() < 0.5 * difficulty else None
    shade = _shade(rng, shape, difficulty)
    if rng.random() < 0.6:
        run = cv2.GaussianBlur(ink, (3, 3), rng.uniform(0.4, 0.8))  # thermal dots run a little
        ink = np.asarray(run, dtype=np.uint8)
    lightness = np.asarray(1.0 - _print_strength(rng, shape, difficulty) * ink / np.float32(255.0))
    lightness *= shade
    if ghost is not None:
        lightness -= ghost
    if rng.random() < 0.3 * difficulty:
        lightness -= _watermark(rng, shape)
    sheet = _colour(rng, np.clip(lightness * 255.0, 0, 255).astype(np.uint8))
    if rng.random() < 0.35 * difficulty:
        _scribble(rng, sheet)
    return sheet


def _print_strength(rng: np.random.Generator, shape: tuple[int, int], difficulty: float) -> Field:
    """How much of the ink has stayed, LEAST_INK..1: faded in clouds, in bands, and line by line of dots."""
    coarse = _coarse(shape)
    clouds = smooth_field(rng, coarse, min(coarse) / rng.uniform(2, 6))
    loss = np.float32(rng.uniform(0.0, 0.45 * difficulty)) * clouds
    loss += np.float32(rng.uniform(0.0, 0.25))
    if rng.random() < 0.5 * difficulty:
        loss += np.float32(rng.uniform(0.1, 0.45)) * gradient(rng, coarse) ** 2
    if rng.random() < 0.5 * difficulty:  # a dirty print head: weak columns all the way down
        weak = smooth_field(rng, (1, coarse[1]), (2.0, rng.uniform(1.5, 8.0)))
        loss += np.float32(rng.uniform(0.1, 0.4)) * weak**2
    kept = np.asarray(cv2.resize(1.0 - loss, shape[::-1], interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    if rng.random() < 0.4:
        kept[:: int(rng.integers(3, 5))] -= np.float32(rng.uniform(0.1, 0.35))
    return np.clip(kept, LEAST_INK, 1.0, out=kept)


def _coarse(shape: tuple[int, int]) -> tuple[int, int]:
    return max(2, shape[0] // _COARSE), max(2, shape[1] // _COARSE)


def _shade(rng: np.random.Generator, shape: tuple[int, int], difficulty: float) -> Field:
    """Light reflected by the blank paper, about 0.7..1: grain, waves, creases, stains."""
    coarse = _coarse(shape)
    shade = np.float32(1.0) - np.float32(rng.uniform(0.01, 0.06)) * smooth_field(rng, coarse, 1.5)
    waves = smooth_field(rng, coarse, (coarse[0] / 5, coarse[1] / 2))
    shade -= np.float32(rng.uniform(0.02, 0.04 + 0.14 * difficulty)) * waves
    for _ in range(int(rng.integers(0, 1 + round(5 * difficulty)))):
        shade += _crease(rng, coarse, difficulty)
    if rng.random() < 0.25 * difficulty:
        stain = smooth_field(rng, coarse, min(coarse) / 3)
        shade -= np.float32(0.12) * np.clip(8.0 * (stain - 0.72), 0.0, 1.0)
    full = cv2.resize(np.clip(shade, 0.5, 1.0), shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(full, dtype=np.float32)


def _crease(rng: np.random.Generator, shape: tuple[int, int], difficulty: float) -> Field:
    """A fold: light on one side of a line, dark on the other, nothing further away."""
    height, width = shape
    angle = rng.choice([0.0, 0.0, np.pi / 2]) + rng.normal(0.0, 0.25)
    normal = np.array([-np.sin(angle), np.cos(angle)])
    offset = normal @ np.array([rng.uniform(0, width), rng.uniform(0, height)])
    x = np.arange(width, dtype=np.float32)[None, :] * np.float32(normal[0])
    y = np.arange(height, dtype=np.float32)[:, None] * np.float32(normal[1])
    distance = (x + y - np.float32(offset)) / np.float32(rng.uniform(1.0, 7.0))
    depth = np.float32(rng.uniform(0.1, 0.15 + 0.3 * difficulty) * rng.choice([-1.0, 1.0]))
    return np.asarray(depth * distance * np.exp(-np.abs(distance)), dtype=np.float32)


def _bleed_through(ink: Mask, rng: np.random.Generator) -> Field:
    """The print on the back, seen through the paper: mirrored, soft, faint."""
    ghost = cv2.blur(np.roll(ink[:, ::-1], int(rng.integers(ink.shape[0])), axis=0), (9, 9))
    return np.asarray(ghost * np.float32(rng.uniform(0.03, 0.1) / 255.0), dtype=np.float32)


def _watermark(rng: np.random.Generator, shape: tuple[int, int]) -> Field:
    """A sign printed large and pale behind the text."""
    height, width = shape
    sign = logo_mask(rng, width, min(height, width))
    field = np.zeros(shape, np.float32)
    top = int(rng.integers(0, height - sign.shape[0] + 1))
    field[top : top + sign.shape[0]] = sign * np.float32(rng.uniform(0.05, 0.13) / 255.0)
    return field


def _colour(rng: np.random.Generator, lightness: Mask) -> Image:
    """Lightness 0..255 between the colours of ink and paper."""
    ink = np.array(_INKS[int(rng.integers(len(_INKS)))], dtype=np.float64) + rng.uniform(-12, 12)
    paper = np.array(_PAPERS[int(rng.integers(len(_PAPERS)))], dtype=np.float64) + rng.uniform(-10, 5)
    ramp = ink + (paper - ink) * (np.arange(256.0) / 255.0)[:, None]
    table = np.clip(ramp, 0, 255).astype(np.uint8)[:, None, :]
    return np.asarray(cv2.LUT(cv2.merge([lightness] * 3), table), dtype=np.uint8)


def _scribble(rng: np.random.Generator, sheet: Image) -> None:
    """A pen's tick, ring or signature, drawn into ``sheet``."""
    height, width = sheet.shape[:2]
    colour = [(30, 40, 150), (20, 20, 30), (170, 30, 40)][int(rng.integers(3))]
    centre = np.array([rng.uniform(0.2, 0.8) * width, rng.uniform(0.15, 0.9) * height])
    reach = width * rng.uniform(0.05, 0.14)
    t = np.linspace(0.0, 2.0 * np.pi * rng.uniform(1.0, 1.3), 60)
    if rng.random() < 0.5:
        curve = np.stack([1.5 * np.cos(t), 0.8 * np.sin(t)], axis=1) * (1 + 0.03 * t[:, None])
    else:
        a, b, c = rng.uniform(2.0, 6.0, 3)
        x, y = (t - np.pi) * 0.5 + 0.3 * np.sin(a * t), 0.5 * np.sin(b * t) * np.cos(c * t / 3)
        curve = np.stack([x, y], axis=1)
    points = np.round((centre + reach * curve) * 8).astype(np.int32)
    cv2.polylines(sheet, [points], False, colour, int(rng.integers(2, 4)), cv2.LINE_AA, shift=3)
