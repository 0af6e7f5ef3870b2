"""Growing and shrinking polygons by a distance: the only place that knows pyclipper.

Distances are pixels. DB (Liao et al. 2020, section 3.4) shrinks a word of area A and perimeter L by
``A * (1 - r**2) / L`` to make a target, and expands a detection by ``A * unclip_ratio / L`` to undo it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyclipper
from numpy.typing import ArrayLike, NDArray

from optdet.geometry.polygons import area, perimeter


def shrink_distance(polygon: ArrayLike, shrink_ratio: float) -> float:
    length = perimeter(polygon)
    return area(polygon) * (1 - shrink_ratio**2) / length if length > 0 else 0.0


def unclip_distance(polygon: ArrayLike, unclip_ratio: float) -> float:
    return unclip_distances(polygon, (unclip_ratio,))[0]


def unclip_distances(polygon: ArrayLike, unclip_ratios: Sequence[float]) -> list[float]:
    """The distance of each ratio; the polygon is measured once."""
    size, length = area(polygon), perimeter(polygon)
    return [size * ratio / length if length > 0 else 0.0 for ratio in unclip_ratios]


def offset_polygon(polygon: ArrayLike, distance: float) -> list[NDArray[np.int32]]:
    """The polygon moved outwards (distance > 0) or inwards, round joins; none, one or several parts.

    Coordinates are truncated to integers before, as the DB authors' code does by handing floats to Clipper.
    """
    path = np.asarray(polygon)
    if path.dtype.kind != "i":
        path = np.trunc(path.astype(np.float64)).astype(np.int64)
    clipper = pyclipper.PyclipperOffset()
    try:
        clipper.AddPath(path.tolist(), pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    except pyclipper.ClipperException:
        return []  # Clipper takes no path without an area
    return [np.asarray(part, dtype=np.int32) for part in clipper.Execute(distance) if len(part) >= 3]
