"""Training targets of the DB head (Liao et al. 2020, section 3.4), in canvas pixels.

``shrink_map`` is 1 inside words shrunk by ``D = A (1 - shrink_ratio^2) / L`` (A area, L perimeter).
``thresh_map`` falls from thresh_max on a word's outline to thresh_min at distance D on either side, and
``thresh_mask`` marks the word grown by D, where the threshold map is learnt. ``shrink_mask`` is 0 where the
shrink map is not learnt: ignored words, and words too small to shrink.
"""

from __future__ import annotations

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
    shrink_mask[shrink_map > 0] = 1
    thresh_map = closeness * (thresh_max - thresh_min) + thresh_min
    return TargetMaps(shrink_map, shrink_mask, thresh_map, thresh_mask)


def _shrunk(polygon: FloatArray, distance: float, min_side: float) -> NDArray[np.int32] | None:
    """The core of a word; None for a word that is too small or falls apart."""
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
    size = len(closeness)
    low = np.maximum(np.floor(polygon.min(axis=0) - distance), 0).astype(int)
    high = np.minimum(np.ceil(polygon.max(axis=0) + distance) + 1, size).astype(int)
    if (low >= high).any():
        return
    window = (slice(low[1], high[1]), slice(low[0], high[0]))
    squared = np.full((high[1] - low[1], high[0] - low[0]), np.inf, dtype=np.float32)
    xs = np.arange(low[0], high[0], dtype=np.float32)[None, :]
    ys = np.arange(low[1], high[1], dtype=np.float32)[:, None]
    corners = polygon.astype(np.float32)
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        np.minimum(squared, _squared_distance(xs, ys, start, end), out=squared)
    near = 1 - np.sqrt(squared) / np.float32(distance)
    np.maximum(closeness[window], near, out=closeness[window])


def _squared_distance(xs: Map, ys: Map, start: Map, end: Map) -> Map:
    """Squared distance of every pixel (ys x xs) to a segment."""
    along = end - start
    length = float(along @ along)
    dx, dy = xs - start[0], ys - start[1]
    share = np.clip((dx * along[0] + dy * along[1]) / length, 0, 1) if length > 0 else np.float32(0)
    squared: Map = (dx - share * along[0]) ** 2 + (dy - share * along[1]) ** 2
    return squared
