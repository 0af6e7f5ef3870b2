"""Compiled means over quads, to the last bit OpenCV's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from optdet.geometry.compiled_raster import OUTSIDE, VALUES, mark_between, mean_inside_quads, row_sums
from optdet.geometry.polygons import min_area_rectangle
from optdet.geometry.raster import mean_inside


def means(prob_map, quads):
    return mean_inside_quads(prob_map.view(np.uint16), VALUES, np.asarray(quads, np.float32))


def some_map(rng, height=150, width=170):
    """Numbers of all sizes, down to the smallest that float16 has."""
    return (rng.random((height, width)) ** rng.integers(1, 30, (height, width))).astype(np.float16)


def some_quad(rng):
    sides = rng.uniform(0, rng.choice([3, 15, 60]), 2)
    box = (rng.uniform(20, 130, 2).tolist(), sides.tolist(), float(rng.uniform(0, 180)))
    corners = np.asarray(cv2.boxPoints(box), np.float32)
    if rng.random() < 0.5:
        corners = np.round(corners)
    return min_area_rectangle(np.ascontiguousarray(corners)).quad


@pytest.mark.parametrize("seed", range(3))
def test_means_are_those_of_the_plain_function_to_the_last_bit(seed):
    rng = np.random.default_rng(seed)
    prob_map = some_map(rng)
    values = prob_map.astype(np.float32)
    quads = np.array([some_quad(rng) for _ in range(1500)])
    quads[::7] = (quads[::7] + rng.integers(-2, 3, quads[::7].shape)).astype(np.float32)
    before = quads.copy()
    n_outside = 0
    for quad, mean in zip(quads, means(prob_map, quads).tolist(), strict=True):
        if mean == OUTSIDE:
            n_outside += 1
        else:
            assert mean == mean_inside(values, quad), quad.tolist()
    assert n_outside < 400
    assert np.array_equal(quads, before)


def test_small_quads_of_whole_numbers():
    rng = np.random.default_rng(4)
    prob_map = some_map(rng, 9, 9)
    values = prob_map.astype(np.float32)
    quads = rng.integers(0, 6, (6000, 4, 2)).astype(np.float32)
    for quad, mean in zip(quads, means(prob_map, quads).tolist(), strict=True):
        assert mean in (OUTSIDE, mean_inside(values, quad)), quad.tolist()


def test_a_quad_does_not_depend_on_its_company():
    rng = np.random.default_rng(5)
    prob_map = some_map(rng)
    quads = np.array([some_quad(rng) for _ in range(60)])
    together = means(prob_map, quads)
    alone = [means(prob_map, quad[None])[0] for quad in quads]
    assert together.tolist() == alone


@pytest.mark.parametrize("seed", range(3))
def test_few_quads_are_summed_pixel_by_pixel_to_the_same_bits(seed):
    rng = np.random.default_rng(seed)
    prob_map = some_map(rng, 600, 600)
    quads = np.array([some_quad(rng) + rng.integers(0, 400, 2) for _ in range(40)], np.float32)
    many = np.concatenate([quads, np.array([some_quad(rng) for _ in range(1500)], np.float32)])
    few, of_many = means(prob_map, quads), means(prob_map, many)[: len(quads)]
    # The window of few may be the smaller one, and leave more to OpenCV.
    known = (few != OUTSIDE) & (of_many != OUTSIDE)
    assert known.sum() > 25
    assert few[known].tolist() == of_many[known].tolist()
    values = prob_map.astype(np.float32)
    assert few[known].tolist() == [mean_inside(values, quad) for quad in quads[known]]


@pytest.mark.parametrize("shift", [(-20, 0), (0, -20), (20, 0), (0, 20), (500, 0), (-500, -500)])
def test_a_quad_that_leaves_the_map_is_left_to_opencv(shift):
    prob_map = np.ones((40, 40), np.float16)
    inside = np.array([[10, 10], [30, 10], [30, 30], [10, 30]], np.float32)
    assert means(prob_map, [inside, inside + np.float32(shift)]).tolist() == [1, OUTSIDE]


def test_the_whole_map_and_its_corners():
    prob_map = np.arange(25, dtype=np.float16).reshape(5, 5) / np.float16(32)
    quads = [[[x, y], [x, y], [x, y], [x, y]] for x in (0, 4) for y in (0, 4)]
    quads.append([[0, 0], [4, 0], [4, 4], [0, 4]])
    expected = [*(float(prob_map[y, x]) for x in (0, 4) for y in (0, 4)), 12 / 32]
    assert means(prob_map, quads).tolist() == expected


def test_no_quads():
    assert means(np.ones((4, 4), np.float16), np.zeros((0, 4, 2))).tolist() == []


def test_row_sums_of_a_window():
    prob_map = np.arange(12, dtype=np.float16).reshape(3, 4)
    assert row_sums(prob_map.view(np.uint16), VALUES, 1, 1, 4, 3).tolist() == [[0, 5, 11, 18], [0, 9, 19, 30]]


def test_filling_leaves_out_what_lies_outside():
    corners = np.array([[-5, 3], [8, -4], [14, 6], [4, 30]])
    wide = np.zeros((60, 60), np.uint8)
    assert mark_between(wide, corners + 20, 4, 7)
    small = np.zeros((12, 13), np.uint8)
    assert mark_between(small, corners, 4, 7)
    np.testing.assert_array_equal(small, wide[20:32, 20:33])
    assert set(np.unique(small)) == {0, 7}


@pytest.mark.parametrize("far", [[0, 10**12], [10**12, 0]], ids=["down", "right"])
def test_a_polygon_far_larger_than_the_canvas_is_not_drawn(far):
    canvas = np.zeros((10, 10), np.uint8)
    assert not mark_between(canvas, np.array([[0, 0], [5, 0], far]), 3, 1)
    assert not canvas.any()
