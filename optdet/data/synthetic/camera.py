"""The view of the camera: perspective, light, blur and noise.

A homography is a float64 (3, 3) matrix from print pixels to image pixels, both continuous: the pixel in
column c covers x from c to c + 1, its centre is c + 0.5. OpenCV's warps count from pixel centres;
``photograph`` converts, so that the picture and ``project`` use the very same map.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from optdet.data.synthetic.background import draw_background
from optdet.data.synthetic.layout import PRINT_SCALE, Page
from optdet.data.synthetic.noise import Field, gradient, smooth_field
from optdet.structures import FloatArray

Image = NDArray[np.uint8]
LEAST_MARGIN = 0.012  # of the picture's longest side: no word comes nearer to the frame
_LARGEST_ZOOM = 1.25  # a short receipt is not blown up further than this to fill the picture
_NARROWEST = 0.45  # shorter side of the picture, of its longer


@dataclass(frozen=True, slots=True)
class View:
    """Where the camera stands: the homography, and the picture's size in pixels."""

    homography: FloatArray
    width: int
    height: int


def project(homography: FloatArray, points: FloatArray) -> FloatArray:
    """Points (N, 2) in print pixels -> (N, 2) in image pixels."""
    image = points @ homography[:, :2].T + homography[:, 2]
    mapped: FloatArray = image[:, :2] / image[:, 2:]
    return mapped


def aim(page: Page, rng: np.random.Generator, size: int, difficulty: float) -> View:
    """A view that holds all words, with a margin, in a picture whose longest side is ``size``."""
    tilt = _tilt(rng, page, difficulty)
    corners = project(tilt, np.concatenate([word.quad for word in page.words]))
    low, high = corners.min(axis=0), corners.max(axis=0)
    margin = size * rng.uniform(
        LEAST_MARGIN, 0.03 + 0.07 * difficulty, size=(2, 2)
    )  # [before, after] x [x, y]
    room = size - margin.sum(axis=0)
    scale = min(float(np.min(room / (high - low))), _LARGEST_ZOOM / PRINT_SCALE)
    extent = (high - low) * scale + margin.sum(axis=0)
    if extent.max() < size:  # the zoom was limited: show more of the table instead
        margin += (size - extent.max()) / 2 * (extent > 0.8 * extent.max())
    extent = (high - low) * scale + margin.sum(axis=0)
    margin += np.maximum(_NARROWEST * extent.max() - extent, 0.0) / 2
    frame = np.ceil((high - low) * scale + margin.sum(axis=0) - 1e-6).astype(int)
    shift = margin[0] - low * scale
    fit = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]], [0.0, 0.0, 1.0]])
    return View(fit @ tilt, int(frame[0]), int(frame[1]))


def _tilt(rng: np.random.Generator, page: Page, difficulty: float) -> FloatArray:
    """Rotation and perspective about the page's centre; a point there keeps its scale."""
    angle = np.deg2rad(rng.uniform(-1.0, 1.0) * (1.0 + 9.0 * difficulty**1.5))
    centre = np.array([[1.0, 0.0, -page.width / 2], [0.0, 1.0, -page.height / 2], [0.0, 0.0, 1.0]])
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0.0], [np.sin(angle), np.cos(angle), 0.0], [0.0, 0.0, 1.0]]
    )
    shear = np.eye(3)
    shear[0, 1], shear[1, 1] = rng.normal(0.0, 0.03 * difficulty), rng.uniform(1.0 - 0.08 * difficulty, 1.0)
    away = np.eye(3)
    away[2, 0] = rng.uniform(-1.0, 1.0) * 0.2 * difficulty / page.width
    away[2, 1] = rng.uniform(-1.0, 1.0) * 0.25 * difficulty / page.height
    matrix: FloatArray = away @ shear @ turn @ centre
    return matrix


def photograph(sheet: Image, view: View, rng: np.random.Generator, difficulty: float) -> Image:
    """The sheet on a table, lit and noisy: uint8 (height, width, 3) RGB."""
    shape = (view.height, view.width)
    half = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    matrix = np.linalg.inv(half) @ view.homography @ half
    paper = cv2.warpPerspective(sheet, matrix, shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    blank = np.full(sheet.shape[:2], 255, np.uint8)
    cover = np.asarray(cv2.warpPerspective(blank, matrix, shape[::-1]), dtype=np.uint8)
    table = _drop_shadow(rng, draw_background(rng, shape, difficulty), cover)
    opaque = cover * np.float32(1.0 / 255.0)
    image = cv2.blendLinear(paper, table, opaque, 1.0 - opaque)
    light = _light(rng, shape, difficulty)
    seen = cv2.multiply(image, cv2.merge([light * cast for cast in _white_balance(rng)]), dtype=cv2.CV_8U)
    if rng.random() < 0.3 + 0.5 * difficulty:
        seen = cv2.GaussianBlur(seen, (0, 0), rng.uniform(0.3, 0.4 + 0.5 * difficulty))
    taken = np.asarray(seen, dtype=np.uint8)
    if rng.random() < 0.2:
        taken = _grey_scan(taken)
    return _add_noise(rng, taken, rng.uniform(0.5, 1.5 + 6.0 * difficulty))


def _grey_scan(image: Image) -> Image:
    """What scanning programs make of a photograph: no colour, paper near to white."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    dark, bright = np.percentile(grey[::4, ::4], (1, 75))
    levels = 10.0 + (np.arange(256.0) - dark) * 240.0 / max(bright - dark, 40.0)
    table = np.clip(levels, 0, 255).astype(np.uint8)
    return np.asarray(cv2.merge([cv2.LUT(grey, table)] * 3), dtype=np.uint8)


def _drop_shadow(rng: np.random.Generator, table: Image, cover: NDArray[np.uint8]) -> Image:
    reach = int(rng.integers(2, 9))
    shift = np.array([[1.0, 0.0, rng.uniform(-reach, reach)], [0.0, 1.0, rng.uniform(-reach, reach)]])
    shadow = cv2.blur(cv2.warpAffine(cover, shift, cover.shape[::-1]), (2 * reach + 1, 2 * reach + 1))
    depth = rng.uniform(0.1, 0.6) / 255.0
    light = 1.0 - shadow * np.float32(depth)
    return np.asarray(cv2.multiply(table, cv2.merge([light] * 3), dtype=cv2.CV_8U), dtype=np.uint8)


def _light(rng: np.random.Generator, shape: tuple[int, int], difficulty: float) -> Field:
    """Factor of brightness, about 0.3..1.1: exposure, light from one side, the shadow of a hand or phone."""
    light = np.float32(rng.uniform(1.02 - 0.25 * difficulty, 1.08)) * np.ones(shape, np.float32)
    light *= 1.0 - np.float32(rng.uniform(0.0, 0.15 + 0.35 * difficulty)) * gradient(rng, shape)
    if rng.random() < 0.2 + 0.5 * difficulty:
        edge = gradient(rng, shape) + np.float32(0.25) * smooth_field(rng, shape, min(shape) / 2)
        place, width = rng.uniform(0.35, 0.9), rng.uniform(0.015, 0.2)
        shadow = np.clip((edge - np.float32(place)) / np.float32(width), 0.0, 1.0)
        light *= 1.0 - np.float32(rng.uniform(0.15, 0.2 + 0.35 * difficulty)) * shadow
    return light


def _white_balance(rng: np.random.Generator) -> NDArray[np.float32]:
    warmth = rng.normal(0.0, 0.035)
    return np.array([1.0 + warmth, 1.0, 1.0 - warmth], dtype=np.float32)


def _add_noise(rng: np.random.Generator, image: Image, sigma: float) -> Image:
    """Sensor noise: of brightness rather than of colour, as cameras leave it."""
    noise = rng.standard_normal(image.shape[:2], dtype=np.float32) * np.float32(sigma)
    return np.asarray(cv2.add(image, cv2.merge([noise] * 3), dtype=cv2.CV_8U), dtype=np.uint8)
