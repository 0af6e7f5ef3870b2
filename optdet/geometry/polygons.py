"""Measures of polygons and quads.

A polygon is (N, 2), pixels, (x, y), clockwise from the top left on a screen whose y grows downwards.
Nothing here changes its input.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from optdet.structures import FloatArray


@dataclass(frozen=True, slots=True)
class Rectangle:
    """The rectangle of smallest area around some points: its quad (4, 2) float32 and its shorter side."""

    quad: NDArray[np.float32]
    short_side: float


def as_polygon(points: ArrayLike) -> FloatArray:
    """Flat ``x y x y ...`` or (N, 2) points as an (N, 2) polygon; ValueError for anything else or NaN."""
    array = np.asarray(points, dtype=np.float64)
    if array.ndim == 1 and array.size % 2 == 0:
        array = array.reshape(-1, 2)
    if array.ndim != 2 or array.shape[1] != 2 or len(array) < 3:
        raise ValueError(f"expected at least 3 points of (x, y), got an array of shape {np.shape(points)}")
    if not np.isfinite(array).all():
        raise ValueError("a coordinate is not a finite number")
    return array


def signed_area(polygon: ArrayLike) -> float:
    """Shoelace area, positive for clockwise on the screen (y downwards).

    Order of operations: that of GEOS, which the DB authors' code asks (through shapely) for areas and
    lengths. It decides to which pixel half a pixel of an expanded outline is rounded.
    """
    points = np.asarray(polygon, dtype=np.float64)
    y = points[:, 1]
    rise = np.concatenate((y[2:], y[:1])) - y[:-1]
    return float(np.cumsum((points[1:, 0] - points[0, 0]) * rise)[-1]) / 2


def area(polygon: ArrayLike) -> float:
    return abs(signed_area(polygon))


def perimeter(polygon: ArrayLike) -> float:
    """The sum of the sides, term by term as GEOS adds them."""
    points = np.asarray(polygon, dtype=np.float64)
    dx, dy = (np.concatenate((points[1:], points[:1])) - points).T
    return float(np.cumsum(np.sqrt(dx * dx + dy * dy))[-1])


def order_quad(quad: ArrayLike) -> FloatArray:
    """The quad's corners clockwise from the top left; ordering twice changes nothing.

    The turn is given by the angle around the centre, the start by the smallest x + y (then y).
    """
    points = np.asarray(quad, dtype=np.float64)
    # Sorted first: a mean depends on the order of its terms, in the last digit, and near ties depend on that.
    points = points[np.lexsort((points[:, 1], points[:, 0]))]
    offset = points - points.mean(axis=0)
    turned = points[np.argsort(np.arctan2(offset[:, 1], offset[:, 0]), kind="stable")]
    start = int(np.lexsort((turned[:, 1], turned.sum(axis=1)))[0])
    return np.roll(turned, -start, axis=0)


def min_area_rectangle(points: NDArray[np.int32] | NDArray[np.float32]) -> Rectangle:
    """OpenCV's rectangle of smallest area, corners as the DB authors order them: top left, top right,
    bottom right, bottom left, by x first and then by y within the left and the right pair."""
    rectangle = cv2.minAreaRect(points)
    corners = np.asarray(cv2.boxPoints(rectangle), np.float32)
    # Plain Python: for four corners a third of the time of numpy, thousands of times an image.
    rows = corners.tolist()
    first, second, third, fourth = sorted(range(4), key=lambda index: rows[index][0])
    left = (first, second) if rows[second][1] > rows[first][1] else (second, first)
    right = (third, fourth) if rows[fourth][1] > rows[third][1] else (fourth, third)
    return Rectangle(corners[[left[0], right[0], right[1], left[1]]], min(rectangle[1]))


def shorter_side(points: NDArray[np.int32] | NDArray[np.float32]) -> float:
    """That of ``min_area_rectangle``, at a third of its cost."""
    return float(min(cv2.minAreaRect(points)[1]))


def clip_to_frame(polygon: FloatArray, width: float, height: float) -> FloatArray | None:
    """The part of a polygon inside (0, 0, width, height), as one polygon; None where nothing is left.

    Of several parts the largest is kept. A polygon wholly inside comes back as it is.
    """
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    if low[0] >= 0 and low[1] >= 0 and high[0] <= width and high[1] <= height:
        return polygon
    if low[0] >= width or low[1] >= height or high[0] <= 0 or high[1] <= 0:
        return None
    whole = shapely.make_valid(shapely.Polygon(polygon))
    cut = shapely.intersection(whole, shapely.box(0, 0, width, height))
    parts = [part for part in shapely.get_parts(cut) if part.geom_type == "Polygon" and part.area > 0]
    if not parts:
        return None
    ring = np.asarray(max(parts, key=lambda part: part.area).exterior.coords, dtype=np.float64)[:-1]
    return _wound_like(ring, polygon)


def _wound_like(ring: FloatArray, polygon: FloatArray) -> FloatArray:
    """``ring`` with the turning direction of ``polygon``, beginning near its first point."""
    if signed_area(ring) * signed_area(polygon) < 0:
        ring = ring[::-1]
    start = int(((ring - polygon[0]) ** 2).sum(axis=1).argmin())
    return np.roll(ring, -start, axis=0)
