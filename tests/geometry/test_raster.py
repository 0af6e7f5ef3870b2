"""Polygons as pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from optdet.geometry.raster import fill, mean_inside


def test_fill_covers_both_borders_and_truncates():
    canvas = np.zeros((10, 10), np.float32)
    fill(canvas, [[[2.9, 3.9], [5.9, 3.9], [5.9, 6.9], [2.9, 6.9]]], 0.5)
    expected = np.zeros((10, 10), np.float32)
    expected[3:7, 2:6] = 0.5
    assert np.array_equal(canvas, expected)


def test_each_polygon_is_filled_by_itself():
    # In one call of fillPoly an overlap would be a hole.
    canvas = np.ones((10, 10), np.uint8)
    square = np.array([[1, 1], [8, 1], [8, 8], [1, 8]])
    fill(canvas, [square, square], 0)
    assert canvas[1:9, 1:9].sum() == 0
    assert canvas.sum() == 100 - 64


def test_what_lies_outside_is_cut_off():
    canvas = np.zeros((4, 4), np.uint8)
    fill(canvas, [[[-5, -5], [1, -5], [1, 1], [-5, 1]], [[50, 50], [60, 50], [60, 60]]], 1)
    assert canvas.sum() == 4


def mask_of(polygon, size):
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.asarray(polygon).astype(np.int32)], 1)
    return mask.astype(bool)


def test_mean_is_that_of_a_mask():
    rng = np.random.default_rng(3)
    prob_map = rng.random((40, 40), dtype=np.float32)
    for _ in range(200):
        polygon = rng.integers(0, 40, (rng.integers(3, 7), 2)).astype(np.int32)
        expected = prob_map[mask_of(polygon, 40)].astype(np.float64).mean()
        assert mean_inside(prob_map, polygon) == pytest.approx(expected, abs=1e-6)


def test_a_rectangle_of_floats_is_cut_relative_to_its_window():
    prob_map = np.zeros((20, 20), np.float32)
    prob_map[4:9, 3:13] = 1
    assert (
        mean_inside(prob_map, np.array([[3.7, 4.7], [12.7, 4.7], [12.7, 8.7], [3.7, 8.7]], np.float32)) == 1
    )


def test_over_the_border_only_the_map_counts():
    prob_map = np.full((8, 8), 0.25, np.float32)
    for polygon in ([[-9, -9], [3, -9], [3, 3], [-9, 3]], [[6, 6], [30, 6], [30, 30], [6, 30]]):
        assert mean_inside(prob_map, np.array(polygon, np.float32)) == 0.25


def test_one_pixel():
    prob_map = np.arange(16, dtype=np.float32).reshape(4, 4) / 16
    assert mean_inside(prob_map, np.array([[2, 1]] * 4, np.int32)) == 6 / 16


def test_inputs_stay():
    prob_map = np.ones((8, 8), np.float32)
    polygon = np.array([[1, 1], [5, 1], [5, 5]], np.float32)
    prob_map.flags.writeable = polygon.flags.writeable = False
    assert mean_inside(prob_map, polygon) == 1
