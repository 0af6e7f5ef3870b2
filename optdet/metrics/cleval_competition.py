"""CLEval's competition profile: aspect ratios and pseudo characters of polygons.

The receipt competition that this project serves scores with its own copy of CLEval. It takes polygons of 4
or more points, knows no transcriptions, and measures a polygon by its smallest enclosing rectangle; aspect
ratios are height over width there, where "width" runs along the hull edge that the rectangle lies on. Which
edge that is decides whether a false positive costs one character or five, so everything here is float32
with the operations in the copy's order, and the edges come in the order of scipy's hull (Qhull).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optdet.metrics.rings import Index, Rings, ranges
from optdet.structures import FloatArray

Float32Array = NDArray[np.float32]

EPSILON = np.float32(np.finfo(np.float32).eps)
MAX_CHARACTERS = 100
MAX_RATIO = np.float32(100)
CONVEX_MARGIN = 1e-3
"""Square pixels by which a quad's corners must turn for Qhull to be sure to keep all four."""


def aspect_ratios(rings: Rings) -> FloatArray:
    """Height over width of the smallest enclosing rectangle, (n,), at most 100; 0 for a ring without area."""
    ratios = np.zeros(len(rings))
    settled = np.zeros(len(rings), dtype=np.bool_)
    four = np.flatnonzero(rings.sizes == 4)
    points = rings.points.astype(np.float32)
    quads = points[ranges(rings.starts[four], rings.sizes[four])].reshape(-1, 4, 2)
    width, height, unambiguous = _smallest_rectangles(quads)
    settled[four] = _is_convex(quads) & (unambiguous | _is_upright(quads))
    ratios[four] = height / (width + EPSILON)
    # Qhull takes 70 microseconds, more than all the rest: it is asked only where it makes a difference.
    for index in np.flatnonzero(~settled):
        start = rings.starts[index]
        ratios[index] = _hull_ratio(points[start : start + rings.sizes[index]])
    return np.minimum(ratios, MAX_RATIO)


def pseudo_lengths(ratios: FloatArray) -> Index:
    """How many characters a word is taken to have, 1..100."""
    single = ratios.astype(np.float32)
    return _rounded(np.maximum(single, np.float32(1) / (single + EPSILON)))


def false_positive_costs(ratios: FloatArray) -> Index:
    """How many characters a detection without a match is charged."""
    return _rounded(np.float32(1) / (EPSILON + ratios.astype(np.float32)))


def centres(rings: Rings, lengths: Index) -> FloatArray:
    """Pseudo character centres of all words behind one another, (sum of lengths, 2).

    The first half of a polygon's points is its upper line, the rest reversed its lower one. Both are cut at
    the same nodes, ``lengths`` steps to a section, and a centre is the mean of the four nodes around it.
    """
    sections = rings.sizes // 2 - 1
    nodes = lengths + 1
    word = np.repeat(np.arange(len(rings)), nodes)
    step = ranges(np.zeros_like(nodes), nodes) * sections[word]
    points = rings.points.astype(np.float32)
    first, last = rings.starts, rings.starts + rings.sizes - 1
    upper = _nodes(points, first[word], 1, step, lengths[word])
    lower = _nodes(points, last[word], -1, step, lengths[word])
    # The lower line of an odd number of points has one more than the upper: it ends at its own end.
    ends = np.cumsum(nodes) - 1
    lower[ends] = points[first + rings.sizes // 2]
    left = ranges(np.cumsum(nodes) - nodes, lengths)
    total = upper[left] + upper[left + 1] + lower[left] + lower[left + 1]
    return (total / np.float32(4)).astype(np.float64)


def _nodes(points: Float32Array, origin: Index, direction: int, step: Index, length: Index) -> Float32Array:
    """Node ``step`` of a line: a vertex as it is, what lies between two vertices cut to an integer."""
    section, position = np.divmod(step, length)
    start = origin + direction * section
    between = position > 0
    end = np.where(between, start + direction, start)
    stride = (points[end] - points[start]) / length.astype(np.float32)[:, None]
    inner = np.trunc(points[start] + stride * position.astype(np.float32)[:, None])
    return np.asarray(np.where(between[:, None], inner, points[start]))


def _rounded(values: Float32Array) -> Index:
    rounded: Float32Array = np.rint(np.float32(0.5) + values)
    return np.minimum(rounded, MAX_CHARACTERS).astype(np.intp)


def _hull_ratio(points: Float32Array) -> float:
    from scipy.spatial import ConvexHull, QhullError  # seldom asked, and slow to import

    try:
        hull = points[ConvexHull(points).vertices]
    except QhullError:  # no area: the reference's ratio is 0
        return 0.0
    width, height, _ = _smallest_rectangles(hull[None])
    return float(height[0] / (width[0] + EPSILON))


def _smallest_rectangles(
    hulls: Float32Array,
) -> tuple[Float32Array, Float32Array, NDArray[np.bool_]]:
    """Width and height on the first hull edge of smallest area, (n,) each, for hulls (n, m, 2).

    The third array says where the choice of "first" made no difference.
    """
    edges = np.roll(hulls, -1, axis=1) - hulls
    squares = edges * edges
    norms = np.sqrt((squares[..., 0] + squares[..., 1]).astype(np.float64)).astype(np.float32)
    with np.errstate(invalid="ignore"):  # repeated points: such a quad goes to Qhull
        along = edges / norms[..., None]
    across = np.stack([-along[..., 1], along[..., 0]], axis=2)
    widths, heights = _extents(along, hulls), _extents(across, hulls)
    areas = widths * heights
    best = np.argmin(areas, axis=1)[:, None]
    width, height = np.take_along_axis(widths, best, axis=1), np.take_along_axis(heights, best, axis=1)
    ties = areas == np.take_along_axis(areas, best, axis=1)
    same = (~ties | ((widths == width) & (heights == height))).all(axis=1)
    return width[:, 0], height[:, 0], same


def _extents(directions: Float32Array, hulls: Float32Array) -> Float32Array:
    """How far each hull reaches along each of its directions, (n, m)."""
    x, y = hulls[:, None, :, 0], hulls[:, None, :, 1]
    positions = directions[..., :1] * x + directions[..., 1:] * y
    return np.asarray(positions.max(axis=2) - positions.min(axis=2))


def _is_convex(quads: Float32Array) -> NDArray[np.bool_]:
    """Clockwise on the screen and strictly convex: Qhull then keeps the vertices in their cyclic order."""
    edges = np.roll(quads, -1, axis=1).astype(np.float64) - quads
    following = np.roll(edges, -1, axis=1)
    turns = edges[..., 0] * following[..., 1] - edges[..., 1] * following[..., 0]
    return np.asarray((turns > CONVEX_MARGIN).all(axis=1))


def _is_upright(quads: Float32Array) -> NDArray[np.bool_]:
    """Parallel to the axes, from the top left: all four edges tie, and Qhull begins with the top one."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = np.moveaxis(quads, 0, 2)
    return np.asarray((y0 == y1) & (x1 == x2) & (y2 == y3) & (x3 == x0) & (x0 < x1) & (y1 < y2))
