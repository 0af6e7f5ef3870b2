"""Candidates of one map at every ``thresh`` of a lattice, and their polygons at every ``unclip_ratio``.

What :class:`~optdet.detection.postprocess.MapDetector` gives for one configuration after the other,
exactly, but with everything computed once: contours that persist over thresholds, the shape of each
distinct contour, the score of each distinct shape, the polygon of each distinct shape and ratio. Quads are
compiled; polygons ask OpenCV and Clipper, once for each distinct outline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdet.compiled import compiled
from optdet.detection.candidates import expand, in_image, polygon_candidate
from optdet.detection.contours import ContourLattice, trace_contours
from optdet.geometry.compiled_offset import UNSURE, grown_quad, offset_buffers, quad_distance
from optdet.geometry.compiled_raster import OUTSIDE, VALUES, mean_inside_quads
from optdet.geometry.compiled_rectangle import (
    hull_buffers,
    smallest_rectangle,
    smallest_rectangle_from_anywhere,
)
from optdet.geometry.compiled_rows import distinct_rows
from optdet.geometry.placement import Placement
from optdet.geometry.raster import mean_inside
from optdet.structures import FloatArray, IntArray

_NO_POLYGON = -1


@dataclass(frozen=True, slots=True, eq=False)
class CandidateLattice:
    """K thresholds, R distinct shapes, U unclip ratios, P distinct polygons.

    ``shapes[starts[k] : starts[k + 1]]`` are the shapes of the contours at threshold k in OpenCV's order,
    -1 where a contour is too small to be a candidate. ``scores`` (R,) are their mean probabilities.
    ``polygon_of`` (U, R) is the index of the shape's polygon, -1 where nothing is left of it. Polygon i has
    the points ``points[point_starts[i] : point_starts[i + 1]]``, int32 image pixels, clipped to the image.
    """

    thresholds: tuple[float, ...]
    unclip_ratios: tuple[float, ...]
    use_polygon: bool
    starts: NDArray[np.int64]
    shapes: NDArray[np.int32]
    scores: FloatArray
    polygon_of: NDArray[np.int32]
    points: IntArray
    point_starts: NDArray[np.int64]

    @property
    def n_polygons(self) -> int:
        return len(self.point_starts) - 1

    def polygon(self, index: int) -> IntArray:
        return self.points[self.point_starts[index] : self.point_starts[index + 1]]


def find_candidates(
    prob_map: NDArray[np.float16],
    letterbox: Placement,
    thresholds: Sequence[float],
    unclip_ratios: Sequence[float],
    *,
    use_polygon: bool,
    min_side: float,
) -> CandidateLattice:
    """All candidates of a float16 map (H, W); ValueError for another type, or for thresholds that do not
    ascend."""
    contours = trace_contours(prob_map, thresholds)
    make = _polygons if use_polygon else _quads
    return make(contours, prob_map, letterbox, unclip_ratios, min_side)


def _quads(
    contours: ContourLattice,
    prob_map: NDArray[np.float16],
    letterbox: Placement,
    unclip_ratios: Sequence[float],
    min_side: float,
) -> CandidateLattice:
    every, sides = _rectangles(contours.points, contours.point_starts)
    large = np.flatnonzero((sides > 0) & (sides >= min_side))
    first, which = distinct_rows(every[large].reshape(-1, 8).view(np.int32))
    quads = every[large][first]
    shape_of = np.full(contours.n_distinct, -1, dtype=np.int32)
    shape_of[large] = which
    ratios = np.asarray(unclip_ratios, dtype=np.float64)
    polygons, state = _expand_all(quads, ratios, min_side, _placement(letterbox))
    for u, r in np.argwhere(state == UNSURE):
        shape = expand(quads[r], float(ratios[u]), use_polygon=False, min_side=min_side)
        polygon = None if shape is None else in_image(shape, letterbox)
        state[u, r] = polygon is not None
        if polygon is not None:
            polygons[u, r] = polygon
    present = state > 0
    first, which = distinct_rows(polygons[present].reshape(-1, 8))
    polygon_of = np.full(state.shape, _NO_POLYGON, dtype=np.int32)
    polygon_of[present] = which
    points = polygons[present][first].reshape(-1, 2)
    return CandidateLattice(
        thresholds=contours.thresholds,
        unclip_ratios=tuple(unclip_ratios),
        use_polygon=False,
        starts=contours.starts,
        shapes=shape_of[contours.contours],
        scores=_quad_scores(prob_map, quads),
        polygon_of=polygon_of,
        points=points,
        point_starts=np.arange(0, 4 * len(first) + 1, 4, dtype=np.int64),
    )


def _placement(letterbox: Placement) -> FloatArray:
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
def _rectangles(points: Any, starts: Any) -> Any:
    """Quads (n, 4, 2) float32 of the contours, and their shorter sides (n,)."""
    n = len(starts) - 1
    quads = np.zeros((n, 4, 2), dtype=np.float32)
    sides = np.zeros(n, dtype=np.float32)
    longest = 0
    for i in range(n):
        longest = max(longest, starts[i + 1] - starts[i])
    buffers = hull_buffers(longest)
    for i in range(n):
        size = starts[i + 1] - starts[i]
        if size > 2:
            sides[i] = smallest_rectangle(points[starts[i] : starts[i + 1]], size, quads[i], buffers)
    return quads, sides


def _quad_scores(prob_map: NDArray[np.float16], quads: NDArray[np.float32]) -> FloatArray:
    scores: FloatArray = mean_inside_quads(np.ascontiguousarray(prob_map).view(np.uint16), VALUES, quads)
    asked = np.flatnonzero(scores == OUTSIDE)
    if len(asked):
        values = prob_map.astype(np.float32)
        for index in asked:
            scores[index] = mean_inside(values, quads[index])
    return scores


@compiled
def _expand_all(quads: Any, unclip_ratios: Any, min_side: float, placement: Any) -> Any:
    """Quads in the image (U, R, 4, 2) int32, and what became of each: 1, 0 where nothing is left, or
    UNSURE."""
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


def _polygons(
    contours: ContourLattice,
    prob_map: NDArray[np.float16],
    letterbox: Placement,
    unclip_ratios: Sequence[float],
    min_side: float,
) -> CandidateLattice:
    outlines: dict[bytes, int] = {}
    shapes: list[IntArray] = []
    shape_of = np.full(contours.n_distinct, -1, dtype=np.int32)
    for index in range(contours.n_distinct):
        candidate = polygon_candidate(contours.outline(index).reshape(-1, 1, 2))
        if candidate is None or candidate.short_side < min_side:
            continue
        shape_of[index] = outlines.setdefault(candidate.shape.tobytes(), len(shapes))
        if shape_of[index] == len(shapes):
            shapes.append(np.asarray(candidate.shape, dtype=np.int32))
    values = np.ascontiguousarray(prob_map, dtype=np.float32)
    known: dict[bytes, int] = {}
    polygons: list[IntArray] = []
    polygon_of = np.full((len(unclip_ratios), len(shapes)), _NO_POLYGON, dtype=np.int32)
    for u, ratio in enumerate(unclip_ratios):
        for r, shape in enumerate(shapes):
            grown = expand(shape, ratio, use_polygon=True, min_side=min_side)
            polygon = None if grown is None else in_image(grown, letterbox)
            if polygon is None:
                continue
            polygon_of[u, r] = known.setdefault(polygon.tobytes(), len(polygons))
            if polygon_of[u, r] == len(polygons):
                polygons.append(polygon)
    sizes = [len(polygon) for polygon in polygons]
    return CandidateLattice(
        thresholds=contours.thresholds,
        unclip_ratios=tuple(unclip_ratios),
        use_polygon=True,
        starts=contours.starts,
        shapes=shape_of[contours.contours],
        scores=np.array([mean_inside(values, shape) for shape in shapes], dtype=np.float64),
        polygon_of=polygon_of,
        points=np.concatenate([np.zeros((0, 2), dtype=np.int32), *polygons]),
        point_starts=np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64),
    )
