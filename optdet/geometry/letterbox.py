"""An image fitted into a square canvas: its longest side becomes the canvas side, the rest is padding.

New sides are ``side * size // longest side``, in integers: with floats an image of 49 x 49 would miss a
canvas of 64 by a pixel. Padding is centred (left and top half, rounded down) or all at the right and bottom.
Since a new side is truncated, x and y have their own exact factor.

``area`` averages the pixels that fall into one, which keeps thin strokes; ``bilinear`` looks at four of them
however small the image becomes, as most detectors were trained. Enlarging is bilinear for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from optdet.geometry.placement import Placement


@dataclass(frozen=True, slots=True)
class Letterbox(Placement):
    """Where an image of ``width`` x ``height`` pixels lies on its canvas of ``size`` x ``size``."""

    width: int
    height: int
    size: int
    pad: Literal["center", "topleft"] = "center"
    interpolation: Literal["area", "bilinear"] = "area"

    @property
    def scale(self) -> float:
        return self.size / max(self.width, self.height)

    @property
    def canvas_width(self) -> int:
        return self.size

    @property
    def canvas_height(self) -> int:
        return self.size

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

    def draw(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The image on its canvas, (size, size, 3) uint8, padding 0."""
        averaged = self.interpolation == "area" and self.scale < 1
        filter_ = cv2.INTER_AREA if averaged else cv2.INTER_LINEAR
        inner = cv2.resize(image, (self.inner_width, self.inner_height), interpolation=filter_)
        canvas = np.zeros((self.size, self.size, image.shape[2]), dtype=np.uint8)
        canvas[self.top : self.top + self.inner_height, self.left : self.left + self.inner_width] = inner
        return canvas
