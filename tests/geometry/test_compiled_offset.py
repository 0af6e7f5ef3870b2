"""Compiled offsets of quads, point for point Clipper's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from optdet.geometry.compiled_hull import hull_buffers
from optdet.geometry.compiled_offset import UNSURE, grown_quad, offset_buffers, quad_distance
from optdet.geometry.compiled_rectangle import smallest_rectangle_from_anywhere
from optdet.geometry.offset import offset_polygon, unclip_distance
from optdet.geometry.polygons import min_area_rectangle

BUFFERS = offset_buffers(400.0)
OUTLINE = np.empty((BUFFERS.shape[1], 2), np.int64)


def grown(quad, distance):
    """The outline, or None where the compiled code is unsure of it or of where it begins."""
    n = grown_quad(quad, distance, OUTLINE, BUFFERS)
    return None if n < 0 else OUTLINE[:n].copy()


def some_rectangle(rng, thinnest=3.0):
    """As the candidates of a map are: corners in float32, in the order of ``min_area_rectangle``."""
    sides = rng.uniform(thinnest, rng.choice([6, 20, 150]), 2)
    centre, turn = rng.uniform(100, 400, 2), rng.choice([0, 45, 90, rng.uniform(0, 180), rng.normal(0, 2)])
    corners = cv2.boxPoints((centre.tolist(), sides.tolist(), float(turn)))
    return min_area_rectangle(np.asarray(corners, np.float32)).quad


def test_rectangles_grow_as_in_clipper():
    rng = np.random.default_rng(0)
    n_unsure = 0
    for _ in range(3000):
        quad = some_rectangle(rng)
        distance = quad_distance(quad, float(rng.choice([1, 1.5, 1.7, 2, 3])))
        outline = grown(quad, distance)
        if outline is None:
            n_unsure += 1
            continue
        parts = offset_polygon(quad, distance)
        assert [part.tolist() for part in parts] == [outline.tolist()], (quad.tolist(), distance)
    assert n_unsure < 300


def test_any_quads_and_slivers_grow_as_in_clipper_or_not_at_all():
    rng = np.random.default_rng(1)
    n_sure = 0
    for index in range(6000):
        quad = some_rectangle(rng, thinnest=0.2) + rng.uniform(-1, 1, (4, 2)).astype(np.float32)
        if index % 2:
            quad = rng.integers(90, 90 + rng.choice([3, 6, 15, 40]), (4, 2)).astype(np.float32)
        distance = float(rng.uniform(0.01, rng.choice([0.6, 1, 2, 4, 50])))
        outline = grown(quad, distance)
        if outline is not None:
            n_sure += 1
            parts = offset_polygon(quad, distance)
            assert [part.tolist() for part in parts] == [outline.tolist()], (quad.tolist(), distance)
    assert n_sure > 600


def test_a_sliver_that_hardly_grows_loses_a_corner_in_clipper():
    quad = np.array([[101, 94], [110, 75], [110, 76], [101, 95]], np.float32)
    assert len(offset_polygon(quad, 0.071)[0]) == 3
    assert grown(quad, 0.071) is None


@pytest.mark.parametrize(
    "quad",
    [
        [[0, 0], [10, 0], [20, 0], [30, 0]],
        [[0, 0], [10, 10], [10, 0], [0, 10]],
        [[0, 0], [0, 10], [10, 10], [10, 0]],
        [[0, 0], [10, 0], [3, 3], [0, 10]],
        [[5, 5], [5, 5], [5, 5], [5, 5]],
    ],
    ids=["flat", "crossing", "the other way round", "dented", "a point"],
)
def test_what_is_not_a_convex_clockwise_quad_is_left_to_clipper(quad):
    assert grown(np.array(quad, np.float32), 5.0) is None


def test_distances_are_those_of_the_plain_function_to_the_last_bit():
    rng = np.random.default_rng(2)
    for _ in range(2000):
        quad, ratio = some_rectangle(rng, thinnest=0.0), float(rng.uniform(0.1, 4))
        assert quad_distance(quad, ratio) == unclip_distance(quad, ratio)
    assert quad_distance(np.full((4, 2), 3, np.float32), 1.5) == 0


@pytest.mark.slow
@pytest.mark.parametrize("distance", [1.0, 7.3, 55.0, 400.0])
def test_the_buffers_hold_the_longest_outline(distance):
    buffers = offset_buffers(distance)
    outline = np.empty((buffers.shape[1], 2), np.int64)
    for turn in range(0, 90, 7):
        corners = cv2.boxPoints(((1000.0, 1000.0), (700.0, 400.0), float(turn)))
        quad = min_area_rectangle(np.asarray(corners, np.float32)).quad
        n = grown_quad(quad, distance, outline, buffers)
        assert n <= buffers.shape[1] - 4
        if n > 0:
            assert outline[:n].tolist() == offset_polygon(quad, distance)[0].tolist()


def test_an_outline_with_a_second_top_has_clippers_points_and_rectangle():
    rng = np.random.default_rng(6)
    hull, found = hull_buffers(BUFFERS.shape[1]), np.empty((4, 2), np.float32)
    n_seen = n_ambiguous = 0
    for _ in range(12000):
        quad = some_rectangle(rng)
        distance = quad_distance(quad, float(rng.choice([1, 1.5, 2, 3])))
        n = -grown_quad(quad, distance, OUTLINE, BUFFERS)
        if n <= -UNSURE:
            continue
        n_seen += 1
        (part,) = offset_polygon(quad, distance)
        assert sorted(OUTLINE[:n].tolist()) == sorted(part.tolist())
        side = smallest_rectangle_from_anywhere(OUTLINE, n, found, hull)
        if side < 0:
            n_ambiguous += 1
            continue
        expected = min_area_rectangle(part)
        assert side == expected.short_side
        assert np.array_equal(found, expected.quad)
    assert n_seen > 40
    assert n_ambiguous < n_seen / 5
