"""Candidates: the contours of a binarized probability map, measured and expanded one at a time.

Semantics are those of the DB authors' representer (Liao et al. 2020) and its copies in PaddleOCR and docTR;
shapes are in canvas pixels. Each step depends only on its arguments, so that a sweep may remember it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from optdet.geometry.offset import offset_polygon, unclip_distance
from optdet.geometry.placement import Placement
from optdet.geometry.polygons import area, min_area_rectangle, shorter_side
from optdet.structures import IntArray

Contour = NDArray[np.int32]
Shape = NDArray[np.float32] | NDArray[np.int32]

_APPROXIMATION = 0.002
"""Tolerance of a polygon's outline as a part of its arc length."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A contour's outline on the canvas: a rectangle (4, 2) float32, or a polygon (N, 2) int32."""

    shape: Shape
    short_side: float


def find_contours(prob_map: NDArray[np.float32], thresh: float) -> Sequence[Contour]:
    """Contours of ``prob_map > thresh`` in OpenCV's order (bottom-up), each (N, 1, 2)."""
    binary = (prob_map > np.float32(thresh)).astype(np.uint8)
    contours, _ = cv2.findContours(binary, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    return cast(Sequence[Contour], contours)


def quad_candidate(contour: Contour) -> Candidate:
    rectangle = min_area_rectangle(contour)
    return Candidate(rectangle.quad, rectangle.short_side)


def polygon_candidate(contour: Contour) -> Candidate | None:
    """The simplified outline, or None where fewer than 4 points are left. It has no side to filter by."""
    tolerance = _APPROXIMATION * cv2.arcLength(contour, True)
    outline = np.asarray(cv2.approxPolyDP(contour, tolerance, True), np.int32).reshape(-1, 2)
    return Candidate(outline, np.inf) if len(outline) >= 4 else None


def expand(shape: Shape, unclip_ratio: float, *, use_polygon: bool, min_side: float) -> Shape | None:
    """The shape grown to undo the shrinking of targets; None where nothing is left or it stays too small."""
    outline = grow(shape, unclip_distance(shape, unclip_ratio), min_side=min_side)
    return outline if use_polygon or outline is None else min_area_rectangle(outline).quad


def grow(shape: Shape, distance: float, *, min_side: float) -> IntArray | None:
    """The outline moved outwards; None where nothing is left or it stays too small.

    An outline that closes around a hole gives several parts; the largest is the outline.
    """
    parts = offset_polygon(shape, distance)
    if not parts:
        return None
    outline = max(parts, key=area) if len(parts) > 1 else parts[0]
    return None if shorter_side(outline) < min_side + 2 else outline


def in_image(shape: Shape, letterbox: Placement, *, clip: bool = True) -> IntArray | None:
    """The shape in rounded image pixels, clipped to the image; None for what lies in the padding alone."""
    points = np.round(letterbox.to_image(shape))
    if not clip:
        return points.astype(np.int32)
    points = np.clip(points, 0, (letterbox.width, letterbox.height))
    return points.astype(np.int32) if area(points) > 0 else None
