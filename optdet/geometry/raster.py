"""Polygons as pixels: the only place that knows fillPoly. Coordinates are truncated to integers."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray


def fill(
    canvas: NDArray[np.float32] | NDArray[np.uint8], polygons: Sequence[ArrayLike], value: float
) -> None:
    """Set the pixels inside each polygon; the canvas is the one argument here that is written to."""
    for polygon in polygons:
        cv2.fillPoly(canvas, [np.asarray(polygon).astype(np.int32)], value)


def mean_inside(prob_map: NDArray[np.float32], polygon: NDArray[np.float32] | NDArray[np.int32]) -> float:
    """Mean of the map over the pixels of a polygon, as DB scores a candidate.

    The window is the polygon's, by floor and ceil, clipped to the map; corners are taken relative to its
    origin and truncated.
    """
    height, width = prob_map.shape
    low, high = np.floor(polygon.min(axis=0)), np.ceil(polygon.max(axis=0))
    left, right = int(min(max(low[0], 0), width - 1)), int(min(max(high[0], 0), width - 1))
    top, bottom = int(min(max(low[1], 0), height - 1)), int(min(max(high[1], 0), height - 1))
    mask = np.zeros((bottom - top + 1, right - left + 1), dtype=np.uint8)
    corners = (polygon - np.array([left, top], dtype=polygon.dtype)).astype(np.int32)
    cv2.fillPoly(mask, [corners], 1)
    return float(cv2.mean(prob_map[top : bottom + 1, left : right + 1], mask)[0])
