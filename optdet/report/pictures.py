"""Images and probability maps as data URLs, small enough that sixty of them fit into one page."""

from __future__ import annotations

import base64
import io
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from optdet.drawing.palette import heat_table

IMAGE_SIDE: Final = 1100
"""Longest side of an image on the page, in pixels: text of a receipt can still be read."""
MAP_SIDE: Final = 480
"""And of a map, which has no detail beyond the network's canvas."""
_IMAGE_QUALITY, _MAP_QUALITY = 60, 50


def image_url(image: NDArray[np.uint8]) -> str:
    """An RGB image (H, W, 3), made smaller where it is larger, never larger."""
    return _url(_fitted(image, IMAGE_SIDE), _IMAGE_QUALITY)


def map_url(prob_map: NDArray[np.floating[Any]]) -> str:
    """A probability map (H, W), 0..1, in the colours of heat maps."""
    levels = np.rint(np.clip(_fitted(np.asarray(prob_map, np.float32), MAP_SIDE), 0, 1) * 255)
    return _url(heat_table()[levels.astype(np.uint8)], _MAP_QUALITY)


def _fitted(pixels: NDArray[Any], side: int) -> NDArray[Any]:
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def _url(pixels: NDArray[np.uint8], quality: int) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=quality, method=4)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode("ascii")
