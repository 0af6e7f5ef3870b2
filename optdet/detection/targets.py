"""Training targets of the DB head (Liao et al. 2020, section 3.4), in canvas pixels.

``shrink_map`` is 1 inside words shrunk by ``D = A (1 - shrink_ratio^2) / L`` (A area, L perimeter).
``thresh_map`` falls from thresh_max on a word's outline to thresh_min at distance D on either side, and
``thresh_mask`` marks the word grown by D, where the threshold map is learnt. ``shrink_mask`` is 0 where the
shrink map is not learnt: ignored words, and words too small to shrink.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optdet.geometry.offset import offset_polygon, shrink_distance
from optdet.geometry.polygons import area, min_area_rectangle
from optdet.geometry.raster import fill
from optdet.structures import FloatArray

Map = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TargetMaps:
    """Four maps (S, S) float32; masks are 0 or 1."""

    shrink_map: Map
    shrink_mask: Map
    thresh_map: Map
    thresh_mask: Map


def build_targets(
    polygons: Sequence[FloatArray],
    ignored: Sequence[bool],
    size: int,
    *,
    shrink_ratio: float = 0.4,
    thresh_min: float = 0.3,
    thresh_max: float = 0.7,
    min_side: float = 3.0,
    thresh_branch: bool = True,
) -> TargetMaps:
    """Maps for the words of one image; without ``thresh_branch`` the last two stay empty."""
    shrink_map, thresh_mask = np.zeros((2, size, size), dtype=np.float32)
    shrink_mask = np.ones((size, size), dtype=np.float32)
    closeness = np.zeros((size, size), dtype=np.float32)
    for polygon, is_ignored in zip(polygons, ignored, strict=True):
        distance = shrink_distance(polygon, shrink_ratio)
        shrunk = _shrunk(polygon, distance, min_side)
        if is_ignored or shrunk is None:
            fill(shrink_mask, [polygon], 0)
            continue
        fill(shrink_map, [shrunk], 1)
        if thresh_branch:
            _add_border(closeness, thresh_mask, polygon, distance)
    # A word may lie over an ignored one: what is learnt as text is not masked again.
    np.maximum(shrink_mask, shrink_map, out=shrink_mask)
    thresh_map = closeness * (thresh_max - thresh_min) + thresh_min
    return TargetMaps(shrink_map, shrink_mask, thresh_map, thresh_mask)


def _shrunk(polygon: FloatArray, distance: float, min_side: float) -> NDArray[np.int32] | None:
    """The core of a word, the largest part of several; None for a word that is too small to have one."""
    if min_area_rectangle(np.asarray(polygon, np.float32)).short_side < min_side:
        return None
    parts = offset_polygon(polygon, -distance)
    return max(parts, key=area) if parts else None


def _add_border(closeness: Map, thresh_mask: Map, polygon: FloatArray, distance: float) -> None:
    """Raise ``closeness`` to 1 - d/D within distance D of the word's outline, and mark the grown word."""
    grown = offset_polygon(polygon, distance)
    if not grown or distance < 1:
        return
    fill(thresh_mask, grown, 1)
    corners = polygon.tolist()
    for start, end in zip(corners, corners[1:] + corners[:1], strict=True):
        _add_edge(closeness, start, end, distance)


def _add_edge(closeness: Map, start: list[float], end: list[float], distance: float) -> None:
    """Raise ``closeness`` around one edge. Its own window is a small part of a word's: that is the speed."""
    (x1, y1), (x2, y2) = start, end
    left, right = _pixels(x1, x2, distance, len(closeness))
    top, bottom = _pixels(y1, y2, distance, len(closeness))
    if left >= right or top >= bottom:
        return
    length = math.hypot(x2 - x1, y2 - y1)
    unit_x, unit_y = ((x2 - x1) / length, (y2 - y1) / length) if length > 0 else (1.0, 0.0)
    xs = np.arange(left, right, dtype=np.float32) - x1
    ys = (np.arange(top, bottom, dtype=np.float32) - y1)[:, None]
    along = xs * unit_x + ys * unit_y
    beyond = along - along.clip(0, length)
    across = ys * unit_x - xs * unit_y
    near = 1 - np.sqrt(beyond * beyond + across * across) / distance
    window = closeness[top:bottom, left:right]
    np.maximum(window, near, out=window)


def _pixels(a: float, b: float, distance: float, size: int) -> tuple[int, int]:
    """The canvas's pixels from ``distance`` before a and b to ``distance`` behind them, as a range."""
    low, high = min(a, b) - distance, max(a, b) + distance
    return max(math.floor(low), 0), min(math.ceil(high) + 1, size)
