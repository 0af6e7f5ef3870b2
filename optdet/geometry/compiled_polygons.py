"""Measures of many polygons at once, compiled: to the last bit those of ``geometry.polygons``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optdet.compiled import compiled


@compiled
def measures(points: Any, starts: Any) -> Any:
    """Area, perimeter and longest extent along x or y of each polygon, (n, 3) float64.

    Polygon i is ``points[starts[i]:starts[i + 1]]``.
    """
    found = np.empty((len(starts) - 1, 3), dtype=np.float64)
    for i in range(len(starts) - 1):
        begin, end = starts[i], starts[i + 1]
        n = end - begin
        doubled, length = 0.0, 0.0
        left = top = np.inf
        right = bottom = -np.inf
        for k in range(n):
            x, y = points[begin + k, 0], points[begin + k, 1]
            after = begin + (k + 1 if k + 1 < n else 0)
            before = begin + (k - 1 if k else n - 1)
            if k:
                doubled += (x - points[begin, 0]) * (points[after, 1] - points[before, 1])
            dx, dy = points[after, 0] - x, points[after, 1] - y
            length += math.sqrt(dx * dx + dy * dy)
            left, right, top, bottom = min(left, x), max(right, x), min(top, y), max(bottom, y)
        found[i, 0], found[i, 1] = abs(doubled) / 2, length
        found[i, 2] = max(right - left, bottom - top)
    return found
