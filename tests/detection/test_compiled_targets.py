"""Words drawn by compiled loops, against Clipper and OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from optdet.detection.compiled_targets import BORDER, CORE, draw_quads
from optdet.detection.targets import build_targets
from optdet.geometry.offset import offset_polygon, shrink_distance
from optdet.geometry.polygons import area
from optdet.geometry.raster import fill

SIZE = 320
KERNEL = np.ones((3, 3), np.uint8)


def random_quad(rng):
    """A word, upright or turned, in half of the cases with corners of its own."""
    width, height, turn = rng.uniform(6, 160), rng.uniform(4, 50), rng.uniform(0, 2 * np.pi)
    corners = np.array([[-width, -height], [width, -height], [width, height], [-width, height]]) / 2
    if rng.random() < 0.5:
        corners += rng.normal(0, min(width, height) * 0.15, corners.shape)
    if rng.random() < 0.7:
        cosine, sine = np.cos(turn), np.sin(turn)
        corners = corners @ np.array([[cosine, sine], [-sine, cosine]])
    return corners + rng.uniform(60, SIZE - 60, 2)


def drawn(quad):
    regions = np.zeros((SIZE, SIZE), np.uint8)
    distance = shrink_distance(quad, 0.4)
    status = draw_quads(regions, quad[None], np.array([distance]), True)[0]
    return regions & CORE, (regions & BORDER) // BORDER, int(status)


def by_libraries(quad):
    core, grown = np.zeros((2, SIZE, SIZE), np.uint8)
    distance = shrink_distance(quad, 0.4)
    fill(core, [max(offset_polygon(quad, -distance), key=area)], 1)
    fill(grown, offset_polygon(quad, distance), 1)
    return core, grown


def differing(one, other):
    """How many pixels differ, and how many of them do not lie at the border of ``one``."""
    border = cv2.dilate(one, KERNEL) - cv2.erode(one, KERNEL)
    return int((one != other).sum()), int(((one != other) & (border == 0)).sum())


def test_quads_are_drawn_as_clipper_and_opencv_draw_them():
    rng = np.random.default_rng(1)
    n_compared = n_cores_differ = 0
    for _ in range(1500):
        quad = random_quad(rng)
        core, grown, status = drawn(quad)
        if status:
            continue
        n_compared += 1
        expected_core, expected_grown = by_libraries(quad)
        n_pixels, n_beyond = differing(expected_core, core)
        n_cores_differ += n_pixels > 0
        assert n_beyond == 0
        n_pixels, n_beyond = differing(expected_grown, grown)
        assert n_beyond == 0
        margin = shrink_distance(quad, 0.4) + 2
        if quad.min() > margin and quad.max() < SIZE - 1 - margin:  # OpenCV cuts a line and then draws it
            assert n_pixels == 0
    assert n_compared > 1350
    assert n_cores_differ < 0.02 * n_compared


@pytest.mark.parametrize(
    "quad",
    [
        [[50, 50], [150, 50], [60, 60], [50, 150]],  # dented
        [[50, 50], [150, 90], [150, 50], [50, 90]],  # crossing itself
        [[50, 90], [150, 90], [150, 50], [50, 50]],  # the other way round
        [[50, 50], [50, 50], [150, 50], [150, 90]],  # a corner twice
    ],
    ids=["dented", "crossing", "turned", "triangle"],
)
def test_what_is_no_clockwise_convex_quad_is_left_to_the_libraries(quad):
    quad = np.array(quad, dtype=np.float64)
    core, grown, status = drawn(quad)
    is_flat = shrink_distance(quad, 0.4) < 1  # the crossing one's halves cancel: it has no border
    assert status == (CORE if is_flat else CORE | BORDER)
    assert not core.any()
    assert not grown.any()
    if not is_flat:
        maps = build_targets([quad], [False], SIZE)
        expected_core, expected_grown = by_libraries(quad)
        np.testing.assert_array_equal(maps.shrink_map, expected_core)
        np.testing.assert_array_equal(maps.thresh_mask, expected_grown)


def test_a_side_that_would_turn_round_is_left_to_the_libraries():
    quad = np.array([[50.0, 50], [250, 50], [250, 250], [240, 250]])  # nearly a triangle: its short side goes
    _, _, status = drawn(quad)
    assert status & CORE
    assert build_targets([quad], [False], SIZE).shrink_map.any()
