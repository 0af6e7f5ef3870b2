"""Compiled hulls and rectangles, bit for bit OpenCV's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from optdet.geometry.compiled_hull import convex_hull, hull_buffers
from optdet.geometry.compiled_rectangle import smallest_rectangle
from optdet.geometry.polygons import min_area_rectangle

BUFFERS = hull_buffers(256)


def few_points(rng):
    """In a small range: many of them equal, on a line, or on rectangles of equal area."""
    return rng.integers(0, rng.choice([2, 3, 5, 9, 30, 2000]), (rng.integers(3, 30), 2))


def turned_box(rng):
    corners = cv2.boxPoints(((300, 300), rng.uniform(1, 90, 2).tolist(), float(rng.uniform(0, 180))))
    return corners.astype(np.int32)


def ellipse(rng):
    angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(5, 60)))
    return (np.stack([np.cos(angles), np.sin(angles)], axis=1) * rng.uniform(2, 80, 2) + 200).astype(np.int32)


def nearly_a_line(rng):
    along = rng.integers(0, 9, (rng.integers(3, 9), 1)) * rng.integers(-5, 6, 2)
    return along + 100 + (rng.integers(0, 2, along.shape) if rng.random() < 0.5 else 0)


def contour(rng):
    """The longest border of a patch of noise: its points come in turning order, as a sweep's do."""
    patch = (rng.random((12, 12)) < 0.65).astype(np.uint8)
    contours, _ = cv2.findContours(patch, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    return max(contours, key=len).reshape(-1, 2)


@pytest.mark.parametrize("make", [few_points, turned_box, ellipse, nearly_a_line, contour])
@pytest.mark.thin(2)
def test_rectangles_are_opencv_s_to_the_last_bit(make):
    rng = np.random.default_rng(0)
    n_flat = 0
    for _ in range(1500):
        points = np.ascontiguousarray(make(rng), dtype=np.int32)
        before = points.copy()
        expected, quad = min_area_rectangle(points), np.zeros((4, 2), np.float32)
        side = smallest_rectangle(points, len(points), quad, BUFFERS)
        if side == 0:
            n_flat += 1
            assert expected.short_side < 1e-3, points.tolist()
        else:
            assert quad.tobytes() == expected.quad.tobytes(), points.tolist()
            assert float(side) == expected.short_side, points.tolist()
        assert np.array_equal(points, before)
    assert n_flat < 1200


@pytest.mark.parametrize("make", [few_points, ellipse, nearly_a_line, contour])
def test_hulls_are_opencv_s(make):
    rng = np.random.default_rng(1)
    for _ in range(500):
        points = np.ascontiguousarray(make(rng), dtype=np.int32)
        size = convex_hull(points, len(points), BUFFERS)
        if size >= 3:  # of a line there is no rectangle, and its hull is nobody's concern
            hull = cv2.convexHull(points, clockwise=False, returnPoints=False).ravel()
            got = [tuple(points[index]) for index in BUFFERS[0][0, :size]]
            assert set(got) == {tuple(points[index]) for index in hull}
            assert len(set(got)) == size


@pytest.mark.parametrize("points", [[[3, 3]] * 3, [[0, 0], [4, 2], [8, 4]], [[5, 1], [5, 9], [5, 4], [5, 4]]])
def test_points_on_a_line_have_no_rectangle(points):
    quad = np.full((4, 2), 7, np.float32)
    assert smallest_rectangle(np.array(points, np.int32), len(points), quad, BUFFERS) == 0
    assert (quad == 7).all()


def test_only_the_first_points_count():
    points = np.array([[0, 0], [9, 0], [9, 4], [0, 4], [500, 500]], np.int32)
    quad = np.zeros((4, 2), np.float32)
    assert smallest_rectangle(points, 4, quad, BUFFERS) == 4
    np.testing.assert_allclose(quad, points[:4], atol=1e-5)
