"""Contours, their outlines, and how they grow."""

from __future__ import annotations

import numpy as np
import pytest

from optdet.detection.candidates import expand, find_contours, polygon_candidate, quad_candidate
from optdet.geometry.polygons import area


def ring_map():
    prob_map = np.zeros((64, 64), np.float32)
    prob_map[8:41, 8:51] = 1
    prob_map[12:37, 12:47] = 0
    return prob_map


def test_holes_are_contours_too():
    contours = find_contours(ring_map(), 0.5)
    assert sorted(len(contour) for contour in contours) == [4, 8]  # OpenCV cuts a hole's corners
    assert all(contour.shape[1:] == (1, 2) for contour in contours)


def test_contours_come_bottom_up():
    prob_map = np.zeros((64, 64), np.float32)
    for y in (5, 25, 45):
        prob_map[y : y + 8, 10:40] = 1
    assert [int(contour[:, 0, 1].min()) for contour in find_contours(prob_map, 0.5)] == [45, 25, 5]


def test_a_word_s_rectangle_runs_through_its_border_pixels():
    prob_map = np.zeros((64, 64), np.float32)
    prob_map[10:20, 5:45] = 1
    (contour,) = find_contours(prob_map, 0.5)
    candidate = quad_candidate(contour)
    assert candidate.short_side == 9
    assert candidate.shape.tolist() == [[5, 10], [44, 10], [44, 19], [5, 19]]
    outline = polygon_candidate(contour)
    assert outline is not None
    assert outline.short_side == np.inf  # polygons are not filtered by a side before they grow
    assert sorted(outline.shape.tolist()) == [[5, 10], [5, 19], [44, 10], [44, 19]]


@pytest.mark.parametrize("points", [[[3, 3]], [[3, 3], [9, 3]], [[3, 3], [30, 3], [3, 30]]])
def test_an_outline_needs_four_points(points):
    contour = np.array(points, np.int32).reshape(-1, 1, 2)
    assert polygon_candidate(contour) is None
    assert quad_candidate(contour).shape.shape == (4, 2)


RECTANGLE = np.array([[10, 10], [50, 10], [50, 20], [10, 20]], np.float32)


def test_quads_and_polygons_grow_by_the_same_distance():
    # area 400, perimeter 100: by 6 at a ratio of 1.5
    quad = expand(RECTANGLE, 1.5, use_polygon=False, min_side=3)
    polygon = expand(RECTANGLE, 1.5, use_polygon=True, min_side=3)
    assert quad is not None
    assert polygon is not None
    assert (quad.shape, quad.dtype) == ((4, 2), np.float32)
    assert (polygon.dtype, len(polygon) > 8) == (np.int32, True)
    for shape in (quad, polygon):
        np.testing.assert_allclose([shape.min(axis=0), shape.max(axis=0)], [[4, 4], [56, 26]], atol=1e-3)
    assert area(polygon) < area(quad)


def test_what_stays_too_small_is_dropped():
    assert expand(RECTANGLE, 0.25, use_polygon=False, min_side=9) is not None  # 12 wide after growing
    assert expand(RECTANGLE, 0.25, use_polygon=False, min_side=10.1) is None
    assert expand(RECTANGLE, 0.25, use_polygon=True, min_side=10.1) is None


@pytest.mark.parametrize("use_polygon", [False, True])
def test_nothing_grows_from_nothing(use_polygon):
    point = np.full((4, 2), 7, np.float32)
    assert expand(point, 1.5, use_polygon=use_polygon, min_side=0) is None


def test_of_an_outline_that_closes_around_a_hole_the_outside_is_kept():
    # A C whose gap of 4 closes when it grows by 3 or more.
    shape = np.array(
        [[0, 0], [60, 0], [60, 28], [20, 28], [20, 40], [40, 40], [40, 32], [60, 32], [60, 60], [0, 60]]
    )
    grown = expand(shape.astype(np.int32), 0.3, use_polygon=True, min_side=3)
    assert grown is not None
    assert area(grown) > 61 * 61
    assert grown.min() < 0
