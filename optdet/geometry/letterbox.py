"""An image fitted into a square canvas: its longest side becomes the canvas side, the rest is padding.

New sides are ``side * size // longest side``, in integers: with floats an image of 49 x 49 would miss a
canvas of 64 by a pixel. Padding is centred (left and top half, rounded down) or all at the right and bottom.
Since a new side is truncated, x and y have their own exact factor: a point maps as
``x * inner_width / width + left``, and back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from optdet.structures import FloatArray


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where an image of ``width`` x ``height`` pixels lies on its canvas of ``size`` x ``size``."""

    width: int
    height: int
    size: int
    pad: Literal["center", "topleft"] = "center"

    @property
    def scale(self) -> float:
        return self.size / max(self.width, self.height)

    @property
    def inner_width(self) -> int:
        return max(1, self.width * self.size // max(self.width, self.height))

    @property
    def inner_height(self) -> int:
        return max(1, self.height * self.size // max(self.width, self.height))

    @property
    def left(self) -> int:
        return (self.size - self.inner_width) // 2 if self.pad == "center" else 0

    @property
    def top(self) -> int:
        return (self.size - self.inner_height) // 2 if self.pad == "center" else 0

    def to_canvas(self, points: ArrayLike) -> FloatArray:
        factors = (self.inner_width / self.width, self.inner_height / self.height)
        return np.asarray(points, dtype=np.float64) * factors + (self.left, self.top)

    def to_image(self, points: ArrayLike) -> FloatArray:
        # Divided first, as the references do: the order decides how a half is rounded afterwards.
        inner = (np.asarray(points, dtype=np.float64) - (self.left, self.top)) / (
            self.inner_width,
            self.inner_height,
        )
        return inner * (self.width, self.height)

    def draw(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The image on its canvas, (size, size, 3) uint8, padding 0; area filter down, linear up."""
        interpolation = cv2.INTER_AREA if self.scale < 1 else cv2.INTER_LINEAR
        inner = cv2.resize(image, (self.inner_width, self.inner_height), interpolation=interpolation)
        canvas = np.zeros((self.size, self.size, image.shape[2]), dtype=np.uint8)
        canvas[self.top : self.top + self.inner_height, self.left : self.left + self.inner_width] = inner
        return canvas

    def map_to_image(self, prob_map: NDArray[np.float32]) -> NDArray[np.float32]:
        """The image's part of a canvas-sized map, resized to the image; for pictures, not for scores."""
        part = prob_map[self.top : self.top + self.inner_height, self.left : self.left + self.inner_width]
        resized = cv2.resize(
            np.asarray(part, np.float32), (self.width, self.height), interpolation=cv2.INTER_LINEAR
        )
        return np.asarray(resized, np.float32)
