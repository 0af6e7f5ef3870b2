"""Polygons with fewer points: Visvalingam and Whyatt, 1993, "Line generalisation by repeated elimination of
points", kept free of crossings.

Again and again the point goes whose triangle with its neighbours is smallest, and which holds no other point
of the outline. That triangle is then all by which the area changes, and what was simple stays simple: a point
that may go is an ear, or one of the outside, and of those every polygon of more than three points has two
(Meisters, 1975). What is left are points of the polygon itself: none lies outside of the image, and whole
numbers stay whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from optdet.compiled import compiled
from optdet.structures import FloatArray

MIN_POINTS = 4
"""Fewer are no polygon of a submission."""


def simplified(polygon: NDArray[Any], max_points: int) -> NDArray[Any]:
    """At most ``max_points`` of the polygon's points, in order; the polygon itself where it has no more.

    A polygon that crosses or touches itself is replaced by the largest of its parts first, so that what comes
    out of one with too many points never does. ValueError for less than 4 points.
    """
    if max_points < MIN_POINTS:
        raise ValueError(f"max_points must be at least {MIN_POINTS}, got {max_points}")
    if len(polygon) <= max_points:
        return polygon
    outline = _simple(np.asarray(polygon, dtype=np.float64))
    kept = _with_four(outline[remove_smallest(outline, max_points)])
    same_type = kept.astype(polygon.dtype)
    return same_type if np.array_equal(same_type, kept) else kept


def _simple(polygon: FloatArray) -> FloatArray:
    """The polygon without repeated points; where it is not simple, its largest part without holes."""
    points: FloatArray = polygon[(polygon != np.roll(polygon, 1, axis=0)).any(axis=1)]
    if len(points) < 3:
        return points if len(points) else np.array(polygon[:1])
    if shapely.is_valid(shapely.Polygon(points)):
        return points
    parts = _parts(points)
    areas = np.asarray(shapely.area(parts))
    if not areas.any():
        return points  # all on one line: no outline of it is simple
    exterior = shapely.get_coordinates(shapely.get_exterior_ring(parts[int(np.argmax(areas))]))
    return np.asarray(exterior, dtype=np.float64)[:-1]


def _parts(points: FloatArray) -> NDArray[np.object_]:
    """What a polygon that is not simple covers, by the even-odd rule; its hull where it runs back along
    itself but for the last digits, which has no end of crossings."""
    try:
        valid = shapely.make_valid(shapely.Polygon(points))
    except shapely.errors.GEOSException:
        return np.asarray([shapely.MultiPoint(points).convex_hull], dtype=np.object_)
    return shapely.get_parts(shapely.get_parts(valid))  # a collection may hold several polygons as one part


def _with_four(points: FloatArray) -> FloatArray:
    """A triangle with the middle of its longest side as a fourth point: a submission needs four."""
    while len(points) < MIN_POINTS:
        following = np.roll(points, -1, axis=0)
        longest = int(np.argmax(((following - points) ** 2).sum(axis=1)))
        points = np.insert(points, longest + 1, (points[longest] + following[longest]) / 2, axis=0)
    return points


@compiled
def remove_smallest(points: Any, n_wanted: int) -> Any:
    """Which of the points (n, 2) of a simple polygon to keep, ascending: ``n_wanted`` of them, or fewer where
    there are fewer.

    Where no point may go, as in an outline without an area, the one of the smallest triangle goes.
    """
    left = np.arange(len(points))
    while len(left) > n_wanted:
        n = len(left)
        areas = np.empty(n)
        for i in range(n):
            areas[i] = _doubled(points, left[i - 1], left[i], left[(i + 1) % n])
        order = np.argsort(areas, kind="mergesort")
        chosen = order[0]
        for i in order:
            if _may_go(points, left, i):
                chosen = i
                break
        left = np.concatenate((left[:chosen], left[chosen + 1 :]))
    return left


@compiled
def _doubled(points: Any, a: int, b: int, c: int) -> float:
    """Twice the area of a triangle."""
    return abs(float(_side(points, a, b, points[c, 0], points[c, 1])))


@compiled
def _side(points: Any, a: int, b: int, x: float, y: float) -> float:
    ux, uy = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1]
    return float(ux * (y - points[a, 1]) - uy * (x - points[a, 0]))


@compiled
def _may_go(points: Any, left: Any, i: int) -> bool:
    """Whether the triangle of a point and its neighbours, its sides included, holds no other point."""
    n = len(left)
    a, b, c = left[i - 1], left[i], left[(i + 1) % n]
    for k in range(n):
        other = left[k]
        if other in (a, b, c):
            continue
        x, y = points[other, 0], points[other, 1]
        if x < min(points[a, 0], points[b, 0], points[c, 0]) or x > max(
            points[a, 0], points[b, 0], points[c, 0]
        ):
            continue
        if y < min(points[a, 1], points[b, 1], points[c, 1]) or y > max(
            points[a, 1], points[b, 1], points[c, 1]
        ):
            continue
        one = _side(points, a, b, x, y)
        two = _side(points, b, c, x, y)
        three = _side(points, c, a, x, y)
        if (one >= 0 and two >= 0 and three >= 0) or (one <= 0 and two <= 0 and three <= 0):
            return False
    return True
