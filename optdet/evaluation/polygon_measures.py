"""What the polygons of many images look like: size, proportions, direction and place.

All but the gap and the border is that of the rectangle of smallest area around a polygon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import cv2
import numpy as np
import shapely

from optdet.evaluation.truth import Polygon
from optdet.metrics.rings import Index
from optdet.structures import FloatArray


@dataclass(frozen=True, slots=True)
class Frame:
    """An image's size in pixels, and how many pixels of the network's canvas one of them is, if known."""

    width: int
    height: int
    scale: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Measures:
    """Of n polygons, all (n,). Pixels are those of the image; what is not known is NaN.

    ``image``: its number; ``height``: the shorter side; ``canvas_height``: that on the network's canvas;
    ``aspect``: long by short side, infinite for a line; ``angle`` of the long side against the horizontal,
    0..90 degrees; ``gap`` to the nearest other polygon of the image and ``border`` to the nearest side of
    the image, both in heights, infinite where there is none; ``across`` and ``down``: where the centre lies
    in the image, 0..1; ``n_words`` of the image.
    """

    image: Index
    height: FloatArray
    canvas_height: FloatArray
    aspect: FloatArray
    angle: FloatArray
    gap: FloatArray
    border: FloatArray
    across: FloatArray
    down: FloatArray
    n_words: FloatArray

    def __len__(self) -> int:
        return len(self.image)


def measure(polygons: Sequence[Polygon], frame: Frame | None, *, image: int, n_words: int) -> Measures:
    """The polygons (N, 2) of one image, N at least 1."""
    rows = np.array([_measured(polygon) for polygon in polygons], dtype=np.float64).reshape(-1, 9)
    height, aspect, angle, x, y, left, top, right, bottom = rows.T
    unknown = np.full(len(rows), np.nan)
    border, across, down = unknown, unknown, unknown
    if frame is not None:
        nearest = np.min([left, top, frame.width - right, frame.height - bottom], axis=0)
        border = _in_heights(np.maximum(nearest, 0), height)
        across, down = x / frame.width, y / frame.height
    scale = np.nan if frame is None or frame.scale is None else frame.scale
    return Measures(
        image=np.full(len(rows), image, dtype=np.intp),
        height=height,
        canvas_height=height * scale,
        aspect=aspect,
        angle=angle,
        gap=_in_heights(_gaps(polygons), height),
        border=border,
        across=across,
        down=down,
        n_words=np.full(len(rows), float(n_words)),
    )


def joined(measures: Sequence[Measures]) -> Measures:
    """Those of several images behind one another; at least one."""
    names = [field.name for field in fields(Measures)]
    return Measures(**{name: np.concatenate([getattr(each, name) for each in measures]) for name in names})


def _measured(polygon: Polygon) -> tuple[float, ...]:
    """Height, aspect, angle, centre and the corners of the upright box."""
    points = np.asarray(polygon, dtype=np.float32)
    (ax, ay), (bx, by), (cx, cy), _ = cv2.boxPoints(cv2.minAreaRect(points)).tolist()
    first, second = (bx - ax, by - ay), (cx - bx, cy - by)
    long, short = sorted((first, second), key=lambda side: -np.hypot(*side))
    length, height = float(np.hypot(*long)), float(np.hypot(*short))
    angle = float(np.degrees(np.arctan2(abs(long[1]), abs(long[0]))))
    low, high = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return (
        height,
        length / height if height else np.inf,
        angle,
        (ax + cx) / 2,
        (ay + cy) / 2,
        *low,
        *high,
    )


def _in_heights(distances: FloatArray, height: FloatArray) -> FloatArray:
    return np.asarray(np.divide(distances, height, out=np.full(len(height), np.inf), where=height > 0))


def _gaps(polygons: Sequence[Polygon]) -> FloatArray:
    """From each convex hull to the nearest other one, in pixels; 0 where they meet."""
    gaps = np.full(len(polygons), np.inf)
    if len(polygons) < 2:
        return gaps
    points = [np.asarray(polygon, dtype=np.float64) for polygon in polygons]
    owners = np.repeat(np.arange(len(points)), [len(each) for each in points])
    hulls = np.asarray(
        shapely.convex_hull(shapely.multipoints(np.concatenate(points), indices=owners)), dtype=np.object_
    )
    tree = shapely.STRtree(hulls)
    index, other = tree.query(hulls, predicate="intersects")
    meeting = np.unique(index[index != other])
    gaps[meeting] = 0.0
    # What meets no other is equal to none, so that leaving out equals leaves out itself alone.
    alone = np.setdiff1d(np.arange(len(hulls)), meeting)
    if len(alone):
        (place, _), distances = tree.query_nearest(
            hulls[alone], exclusive=True, return_distance=True, all_matches=False
        )
        gaps[alone[place]] = distances
    return gaps
