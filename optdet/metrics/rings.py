"""Many polygons as one pair of arrays, and the three questions that both metrics ask of them.

Conventions: a ring is a polygon's boundary, closed without repeating its first point; coordinates are
float64 pixels, (x, y), y downwards. The interior follows the even-odd rule, so a self-crossing ring is
not an error: what it winds around twice is outside.

``Rings`` keeps the points of all polygons behind one another, ``sizes`` says how many each one has. That
is what lets an image with hundreds of polygons of different lengths be handled without a Python loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from optdet.structures import FloatArray

Index = NDArray[np.intp]
Bools = NDArray[np.bool_]
Regions = NDArray[np.object_]

_GRID = 1e-10
"""Of the largest coordinate: the grid on which lines are parted that GEOS cannot part exactly."""


@dataclass(frozen=True, slots=True, eq=False)
class Rings:
    """``points`` (P, 2) of n rings behind one another; ``sizes`` (n,), each at least 3."""

    points: FloatArray
    sizes: Index

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def starts(self) -> Index:
        return np.cumsum(self.sizes) - self.sizes

    @property
    def successors(self) -> Index:
        """For every point the index of the next one on its ring, (P,)."""
        following = np.arange(1, len(self.points) + 1)
        following[self.starts + self.sizes - 1] = self.starts
        return following

    def truncated(self) -> Rings:
        """The same rings with integer coordinates, cut towards zero."""
        return Rings(np.trunc(self.points), self.sizes)

    def ring(self, index: int) -> FloatArray:
        start = self.starts[index]
        return self.points[start : start + self.sizes[index]]

    def subset(self, indices: Index) -> Rings:
        sizes = self.sizes[indices]
        return Rings(self.points[ranges(self.starts[indices], sizes)], sizes)

    def boxes(self) -> FloatArray:
        """Bounding boxes, (n, 4) as x1, y1, x2, y2."""
        if not len(self):
            return np.zeros((0, 4))
        low = np.minimum.reduceat(self.points, self.starts)
        return np.concatenate([low, np.maximum.reduceat(self.points, self.starts)], axis=1)

    def outline_areas(self) -> FloatArray:
        """The shoelace formula's absolute value, (n,): a figure of eight has 0, whatever its lobes."""
        if not len(self):
            return np.zeros(0)
        x, y = self.points.T
        following = self.successors
        return np.abs(np.add.reduceat(x * y[following] - x[following] * y, self.starts)) / 2


def read_polygons(polygons: Sequence[ArrayLike], what: str) -> list[FloatArray]:
    """Each polygon as (N, 2), from flat ``x y x y ...`` or (N, 2); N may be anything, 0 too.

    Raises ValueError with ``what`` and the polygon's index for any other shape, and for NaN and infinity.
    """
    if polygons and all(isinstance(p, np.ndarray) and p.shape == (4, 2) for p in polygons):
        quads = np.array(polygons, dtype=np.float64)  # the common case, in one step
        if np.isfinite(quads).all():
            return list(quads)
    shaped = []
    for index, polygon in enumerate(polygons):
        points = np.asarray(polygon, dtype=np.float64)
        if points.ndim == 1 and points.size % 2 == 0:
            points = points.reshape(-1, 2)
        if points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(
                f"{what} {index}: expected x y x y ... or an (N, 2) array, got the shape {points.shape}"
            )
        shaped.append(points)
    if shaped and not np.isfinite(np.concatenate(shaped)).all():
        index = next(i for i, points in enumerate(shaped) if not np.isfinite(points).all())
        raise ValueError(f"{what} {index}: coordinates must be finite numbers, got NaN or infinity")
    return shaped


def stack_rings(polygons: Sequence[FloatArray], what: str) -> Rings:
    """Raises ValueError with ``what`` and the polygon's index where there are fewer than 3 points."""
    sizes = np.fromiter((len(points) for points in polygons), dtype=np.intp, count=len(polygons))
    if len(sizes) and sizes.min() < 3:
        index = int(np.argmax(sizes < 3))
        raise ValueError(f"{what} {index}: a polygon needs at least 3 points, got {sizes[index]}")
    return Rings(np.concatenate([np.zeros((0, 2)), *polygons]), sizes)


def ring_starts(sizes: Index) -> Index:
    """First index of each of n rings, or other things of these sizes, and the end of the last, (n + 1,)."""
    return np.concatenate([np.zeros(1, dtype=np.intp), np.cumsum(sizes)])


def ranges(starts: Index, lengths: Index) -> Index:
    """``start, start + 1, ...`` of every (start, length), behind one another."""
    before = np.cumsum(lengths) - lengths
    result: Index = np.arange(int(lengths.sum())) + np.repeat(starts - before, lengths)
    return result


def points_inside(points: FloatArray, rings: Rings) -> tuple[Index, Index]:
    """Pairs (ring, point) where the ring contains the point, sorted by ring, then by point.

    Even-odd crossings to the right of the point; an edge is half-open in y and a point on it is not
    counted (strict in x). The order of the floating-point operations decides ties: keep it.
    """
    # A pixel of slack: the box only saves work, and rounding in the crossing below must not depend on it.
    around = rings.boxes() + np.array([-1, -1, 1, 1])
    ring, point = np.nonzero(boxes_touch(around, np.concatenate([points, points], axis=1)))
    if not len(ring):
        return ring, point
    sizes = rings.sizes[ring]
    edges = ranges(rings.starts[ring], sizes)
    x, y = np.repeat(points[point], sizes, axis=0).T
    x1, y1 = rings.points[edges].T
    x2, y2 = rings.points[rings.successors[edges]].T
    straddles = (y1 <= y) != (y2 <= y)
    height = np.where(straddles, y1 - y2, 1.0)
    crossings = straddles & (x < (x1 - x2) * (y - y2) / height + x2)
    odd = np.add.reduceat(crossings.astype(np.int32), np.cumsum(sizes) - sizes) % 2 == 1
    return ring[odd], point[odd]


def boxes_touch(first: FloatArray, second: FloatArray) -> Bools:
    """(n, m): whether two bounding boxes share at least a point."""
    left, top, right, bottom = first.T[:, :, None]
    across = (left <= second[:, 2]) & (right >= second[:, 0])
    return np.asarray(across & (top <= second[:, 3]) & (bottom >= second[:, 1]))


def regions(rings: Rings) -> Regions:
    """The interiors as shapely geometries, (n,), all valid."""
    if not len(rings):
        return np.empty(0, dtype=np.object_)
    owner = np.repeat(np.arange(len(rings)), rings.sizes)
    shapes = np.asarray(shapely.polygons(shapely.linearrings(rings.points, indices=owner)), dtype=np.object_)
    for index in np.flatnonzero(~shapely.is_valid(shapes)):
        shapes[index] = _even_odd_region(rings.ring(int(index)))
    return shapes


def _even_odd_region(ring: FloatArray) -> Any:
    """The faces that a self-crossing ring cuts the plane into, those inside by the even-odd rule."""
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(_noded(ring))))
    within = shapely.get_coordinates(shapely.point_on_surface(faces))
    _, inside = points_inside(within, Rings(ring, np.array([len(ring)])))
    return shapely.union_all(faces[inside])


def _noded(ring: FloatArray) -> Any:
    """The ring's lines, parted where they meet."""
    line = shapely.linestrings(np.concatenate([ring, ring[:1]]))
    try:
        return shapely.node(line)
    except shapely.GEOSException:
        # Points that are on one line but for their last digits: a grid that is finer than any area counts.
        return shapely.unary_union(line, grid_size=_GRID * max(1.0, float(np.abs(ring).max())))


def shared_areas(first: Regions, second: Regions) -> FloatArray:
    """Areas of the pairwise intersections of two equally long arrays of regions."""
    boxes_first, boxes_second = shapely.bounds(first), shapely.bounds(second)
    low = np.maximum(boxes_first[:, :2], boxes_second[:, :2])
    high = np.minimum(boxes_first[:, 2:], boxes_second[:, 2:])
    areas: FloatArray = np.maximum(high - low, 0).prod(axis=1)
    # Most words of a receipt are upright: the overlay costs a hundred times what their boxes do.
    general = ~(_fills(first, boxes_first) & _fills(second, boxes_second))
    areas[general] = shapely.area(shapely.intersection(first[general], second[general]))
    return areas


def _fills(shapes: Regions, boxes: FloatArray) -> Bools:
    """Whether a region is its own bounding box."""
    return np.asarray(shapely.area(shapes) == (boxes[:, 2:] - boxes[:, :2]).prod(axis=1))
