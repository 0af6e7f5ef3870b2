"""A probability map as colours over the dimmed image."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from optdet.drawing.palette import heat_table

_BRIGHTNESS = 0.45
"""Of the grey image beneath: dark enough for the colours, light enough to see the print."""
_OPAQUE_FROM = 0.25
"""The probability from which the colour hides most of the image: just under the usual thresholds."""
_OPACITY = 0.85


def heat_over(image: NDArray[np.uint8], prob_map: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """``image`` (H, W, 3) RGB, ``prob_map`` (H, W), 0..1; values outside are clipped."""
    if prob_map.shape != image.shape[:2]:
        raise ValueError(f"expected a map of the image's shape {image.shape[:2]}, got {prob_map.shape}")
    if not np.isfinite(prob_map).all():
        raise ValueError("expected a finite probability map, got NaN or infinity")
    probability = np.clip(prob_map.astype(np.float32), 0, 1)
    dimmed = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[:, :, None] * np.float32(_BRIGHTNESS)
    colours = heat_table()[np.rint(probability * 255).astype(np.uint8)]
    opacity = _OPACITY * np.minimum(probability / _OPAQUE_FROM, 1)[:, :, None]
    blended: NDArray[np.uint8] = np.rint(dimmed * (1 - opacity) + colours * opacity).astype(np.uint8)
    return blended
