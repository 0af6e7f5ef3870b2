"""The quads of a map's contours, and what they grow to, in compiled batches.

To the last bit what ``candidates.quad_candidate``, ``expand`` and ``in_image`` give one by one, where
``exactness.compiled_is_exact`` holds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optdet.compiled import compiled
from optdet.geometry.compiled_hull import hull_buffers
from optdet.geometry.compiled_offset import UNSURE, grown_quad, offset_buffers, quad_distance
from optdet.geometry.compiled_rectangle import smallest_rectangle, smallest_rectangle_from_anywhere
from optdet.geometry.placement import Placement
from optdet.structures import FloatArray


def placement(letterbox: Placement) -> FloatArray:
    """What a compiled loop needs to go back to the image: offset, inner size, image size."""
    return np.array(
        [
            letterbox.left,
            letterbox.top,
            letterbox.inner_width,
            letterbox.inner_height,
            letterbox.width,
            letterbox.height,
        ],
        dtype=np.float64,
    )


@compiled
def rectangles(points: Any, starts: Any) -> Any:
    """Quads (n, 4, 2) float32 of the contours, and their shorter sides (n,)."""
    n = len(starts) - 1
    quads = np.zeros((n, 4, 2), dtype=np.float32)
    sides = np.zeros(n, dtype=np.float64)  # they are compared with numbers that no float32 need hold
    longest = 0
    for i in range(n):
        longest = max(longest, starts[i + 1] - starts[i])
    buffers = hull_buffers(longest)
    for i in range(n):
        size = starts[i + 1] - starts[i]
        if size > 2:
            sides[i] = smallest_rectangle(points[starts[i] : starts[i + 1]], size, quads[i], buffers)
    return quads, sides


@compiled
def expand_all(quads: Any, unclip_ratios: Any, min_side: float, placement: Any) -> Any:
    """Quads in the image (U, R, 4, 2) int32, and their states: 1, 0 where nothing is left, or UNSURE."""
    n_ratios, n_quads = len(unclip_ratios), len(quads)
    polygons = np.empty((n_ratios, n_quads, 4, 2), dtype=np.int32)
    state = np.zeros((n_ratios, n_quads), dtype=np.int8)
    # No distance exceeds a quarter of the shorter side times the ratio.
    largest = 0.0
    for r in range(n_quads):
        for u in range(n_ratios):
            largest = max(largest, quad_distance(quads[r], unclip_ratios[u]))
    offset_space = offset_buffers(largest)
    n_points = offset_space.shape[1]
    outline = np.empty((n_points, 2), dtype=np.int64)
    hull_space = hull_buffers(n_points)
    grown = np.empty((4, 2), dtype=np.float32)
    for u in range(n_ratios):
        for r in range(n_quads):
            distance = quad_distance(quads[r], unclip_ratios[u])
            n = grown_quad(quads[r], distance, outline, offset_space)
            if n == UNSURE:
                state[u, r] = UNSURE
                continue
            if n < 0:
                side = smallest_rectangle_from_anywhere(outline, -n, grown, hull_space)
                if side < 0:
                    state[u, r] = UNSURE
                    continue
            else:
                side = smallest_rectangle(outline, n, grown, hull_space)
            if side == 0 or side < min_side + 2:
                continue
            state[u, r] = _to_image(grown, placement, polygons[u, r])
    return polygons, state


@compiled
def _to_image(quad: Any, placement: Any, polygon: Any) -> int:
    """Write ``candidates.in_image`` of a quad; 1, or 0 where nothing lies in the image."""
    left, top, inner_width, inner_height, width, height = placement
    for i in range(4):
        x = np.rint((quad[i, 0] - left) / inner_width * width)
        y = np.rint((quad[i, 1] - top) / inner_height * height)
        polygon[i, 0] = min(max(x, 0.0), width)
        polygon[i, 1] = min(max(y, 0.0), height)
    doubled = 0
    for i in range(4):
        j = (i + 1) & 3
        doubled += np.int64(polygon[i, 0]) * polygon[j, 1] - np.int64(polygon[j, 0]) * polygon[i, 1]
    return 1 if doubled != 0 else 0
