"""Measures of polygons, the order of a quad, and clipping."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from optdet.geometry.polygons import (
    area,
    clip_to_frame,
    min_area_rectangle,
    perimeter,
    signed_area,
)

SQUARE = np.array([[1.0, 1], [5, 1], [5, 5], [1, 5]])


def test_measures():
    assert signed_area(SQUARE) == 16  # clockwise on the screen
    assert signed_area(SQUARE[::-1]) == -16
    assert area(SQUARE[::-1]) == 16
    assert perimeter(SQUARE) == 16
    triangle = [[0, 0], [3, 0], [0, 4]]
    assert (area(triangle), perimeter(triangle)) == (6, 12)
    line = [[0, 0], [2, 0], [4, 0], [2, 0]]
    assert (area(line), perimeter(line)) == (0, 8)


@pytest.mark.parametrize("degrees", [0, 10, 30, 45, 60, 80, 90])
def test_smallest_rectangle(degrees):
    turn = np.deg2rad(degrees)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    points = (np.array([[-30.0, -8], [30, -8], [30, 8], [-30, 8], [0, 8]]) @ rotation + 50).astype(np.float32)
    rectangle = min_area_rectangle(points)
    assert rectangle.short_side == pytest.approx(16, abs=1e-3)
    assert rectangle.quad.dtype == np.float32
    assert signed_area(rectangle.quad) == pytest.approx(60 * 16, rel=1e-4)
    left, right = rectangle.quad[[0, 3]], rectangle.quad[[1, 2]]
    assert left[:, 0].max() <= right[:, 0].min() + 1e-3
    assert left[0, 1] <= left[1, 1]
    assert right[0, 1] <= right[1, 1]


def test_a_rectangle_of_one_point():
    rectangle = min_area_rectangle(np.array([[[7, 7]]], np.int32))
    assert rectangle.short_side == 0
    assert np.array_equal(rectangle.quad, [[7, 7]] * 4)


def test_a_polygon_inside_is_not_touched():
    assert clip_to_frame(SQUARE, 5, 5) is SQUARE


@pytest.mark.parametrize(
    "shift", [(-5, 0), (0, -5), (5, 0), (0, 5), (100, 100), (-100, 0)], ids=lambda shift: f"{shift}"
)
def test_nothing_is_left_outside(shift):
    assert clip_to_frame(SQUARE + shift, 6, 6) is None


def test_a_polygon_over_the_border_is_cut():
    cut = clip_to_frame(SQUARE - [3, 0], 10, 10)
    assert cut is not None
    assert cut.tolist() == [[0, 1], [2, 1], [2, 5], [0, 5]]  # same turn, and it begins at the same corner
    counter = clip_to_frame((SQUARE - [3, 0])[::-1], 10, 10)
    assert counter is not None
    assert signed_area(counter) == -8


def test_a_cut_corner_makes_a_pentagon():
    cut = clip_to_frame(np.array([[-2.0, 4], [4, -2], [10, 4], [4, 10]]), 20, 20)
    assert cut is not None
    assert len(cut) == 6
    assert area(cut) == pytest.approx(72 - 4 - 4)


def test_of_several_parts_the_largest_is_kept():
    comb = np.array([[0.0, -5], [30, -5], [30, 9], [20, 9], [20, -2], [10, -2], [10, 4], [0, 4]])
    cut = clip_to_frame(comb, 40, 40)
    assert cut is not None
    assert shapely.Polygon(cut).equals(shapely.box(20, 0, 30, 9))


def test_a_crossed_polygon_and_a_line_are_cut_too():
    bow = np.array([[-5.0, 0], [15, 10], [15, 0], [-5, 10]])
    cut = clip_to_frame(bow, 20, 20)
    assert cut is not None
    assert shapely.Polygon(cut).is_valid
    assert area(cut) == 50
    assert clip_to_frame(np.array([[-5.0, 2], [5, 2], [8, 2]]), 20, 20) is None


def test_clipping_leaves_its_input_alone():
    polygon = SQUARE - [3, 0]
    before = polygon.copy()
    clip_to_frame(polygon, 10, 10)
    assert np.array_equal(polygon, before)
