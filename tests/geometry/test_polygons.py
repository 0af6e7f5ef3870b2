"""Measures of polygons, the order of a quad, and clipping."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import shapely

from optdet.geometry.polygons import (
    area,
    as_polygon,
    clip_to_frame,
    min_area_rectangle,
    order_quad,
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


def test_points_come_flat_or_shaped():
    assert np.array_equal(as_polygon([1, 1, 5, 1, 5, 5, 1, 5]), SQUARE)
    assert as_polygon(SQUARE.astype(np.int32)).dtype == np.float64


@pytest.mark.parametrize(
    "points", [[], [1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 7], np.zeros((4, 3)), np.zeros((2, 2)), 5, ["a"] * 6]
)
def test_no_polygon(points):
    with pytest.raises(ValueError):  # noqa: PT011 -- numpy words the last of these
        as_polygon(points)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_coordinates_are_numbers(value):
    with pytest.raises(ValueError, match="not a finite number"):
        as_polygon([0, 0, 1, 0, 1, value])


def test_a_quad_in_any_order_starts_top_left_and_turns_clockwise():
    quad = np.array([[2.0, 1], [9, 3], [8, 7], [1, 5]])
    for order in itertools.permutations(range(4)):
        shuffled = quad[list(order)]
        before = shuffled.copy()
        assert np.array_equal(order_quad(shuffled), quad)
        assert np.array_equal(shuffled, before)


def test_a_diamond_starts_at_its_upper_corner():
    assert order_quad([[0, 5], [5, 10], [10, 5], [5, 0]]).tolist() == [[5, 0], [10, 5], [5, 10], [0, 5]]


def test_a_nan_free_quad_of_one_point_is_left_as_it_is():
    assert np.array_equal(order_quad([[3, 3]] * 4), [[3, 3]] * 4)


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
