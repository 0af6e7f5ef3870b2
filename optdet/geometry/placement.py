"""Where an image lies on its canvas: the scale and offset between the pixels of a map and those of its image.

Scaling is by x and y apart: a point maps as ``x * inner_width / width + left``, and back. The two makers are
:class:`optdet.geometry.letterbox.Letterbox` and :class:`Stretch`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from optdet.structures import FloatArray


class Placement(ABC):
    """An image of ``width`` x ``height`` pixels on a canvas of ``canvas_width`` x ``canvas_height``.

    It fills ``inner_width`` x ``inner_height`` canvas pixels from ``left``, ``top`` on; the rest is padding.
    """

    __slots__ = ()

    width: int
    height: int

    @property
    @abstractmethod
    def canvas_width(self) -> int: ...

    @property
    @abstractmethod
    def canvas_height(self) -> int: ...

    @property
    @abstractmethod
    def inner_width(self) -> int: ...

    @property
    @abstractmethod
    def inner_height(self) -> int: ...

    @property
    @abstractmethod
    def left(self) -> int: ...

    @property
    @abstractmethod
    def top(self) -> int: ...

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

    def map_to_image(self, prob_map: NDArray[np.float32]) -> NDArray[np.float32]:
        """The image's part of a canvas-sized map, resized to the image; for pictures, not for scores."""
        part = prob_map[self.top : self.top + self.inner_height, self.left : self.left + self.inner_width]
        resized = cv2.resize(
            np.asarray(part, np.float32), (self.width, self.height), interpolation=cv2.INTER_LINEAR
        )
        return np.asarray(resized, np.float32)


@dataclass(frozen=True, slots=True)
class Stretch(Placement):
    """An image that fills its canvas whole, whatever the resolution: no padding, x and y scaled apart."""

    width: int
    height: int
    canvas_width: int
    canvas_height: int

    @property
    def inner_width(self) -> int:
        return self.canvas_width

    @property
    def inner_height(self) -> int:
        return self.canvas_height

    @property
    def left(self) -> int:
        return 0

    @property
    def top(self) -> int:
        return 0
