"""Candidates of one map at every ``thresh`` of a lattice, and their polygons at every ``unclip_ratio``.

What :class:`~optdet.detection.postprocess.MapDetector` gives for one configuration after the other,
exactly, but with everything computed once: contours that persist over thresholds, the shape of each
distinct contour, the score of each distinct shape, the polygon of each distinct shape and ratio. Quads are
compiled; polygons ask OpenCV and Clipper, once for each distinct outline, and so do quads where
``exactness`` finds that they must.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optdet.detection.candidates import expand, grow, in_image, polygon_candidate
from optdet.detection.compiled_quads import expand_all, placement, rectangles
from optdet.detection.contours import ContourLattice, trace_contours
from optdet.detection.exactness import compiled_is_exact, contours_one_by_one, rectangles_one_by_one
from optdet.geometry.compiled_offset import UNSURE
from optdet.geometry.compiled_raster import OUTSIDE, VALUES, mean_inside_quads
from optdet.geometry.compiled_rows import distinct_rows
from optdet.geometry.offset import unclip_distances
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
    find = trace_contours if compiled_is_exact() else contours_one_by_one
    contours = find(prob_map, thresholds)
    make = _polygons if use_polygon else _quads
    return make(contours, prob_map, letterbox, unclip_ratios, min_side)


def _quads(
    contours: ContourLattice,
    prob_map: NDArray[np.float16],
    letterbox: Placement,
    unclip_ratios: Sequence[float],
    min_side: float,
) -> CandidateLattice:
    exact = compiled_is_exact()
    if exact:
        every, sides = rectangles(contours.points, contours.point_starts)
    else:
        every, sides = rectangles_one_by_one(contours)
    large = np.flatnonzero((sides > 0) & (sides >= min_side))
    first, which = distinct_rows(every[large].reshape(-1, 8).view(np.int32))
    quads = every[large][first]
    shape_of = np.full(contours.n_distinct, -1, dtype=np.int32)
    shape_of[large] = which
    ratios = np.asarray(unclip_ratios, dtype=np.float64)
    polygons, state = expand_all(quads, ratios, min_side, placement(letterbox))
    if not exact:
        state[:] = UNSURE
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
        scores=_quad_scores(prob_map, quads, compiled=exact),
        polygon_of=polygon_of,
        points=points,
        point_starts=np.arange(0, 4 * len(first) + 1, 4, dtype=np.int64),
    )


def _quad_scores(prob_map: NDArray[np.float16], quads: NDArray[np.float32], *, compiled: bool) -> FloatArray:
    scores = np.full(len(quads), OUTSIDE)
    if compiled:
        scores = mean_inside_quads(np.ascontiguousarray(prob_map).view(np.uint16), VALUES, quads)
    asked = np.flatnonzero(scores == OUTSIDE)
    if len(asked):
        values = prob_map.astype(np.float32)
        for index in asked:
            scores[index] = mean_inside(values, quads[index])
    return scores


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
    distances = [unclip_distances(shape, unclip_ratios) for shape in shapes]
    for u in range(len(unclip_ratios)):
        for r, shape in enumerate(shapes):
            grown = grow(shape, distances[r][u], min_side=min_side)
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
