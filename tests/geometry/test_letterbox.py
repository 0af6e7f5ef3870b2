"""Where an image lies on its canvas."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from optdet.geometry.letterbox import Letterbox


@pytest.mark.parametrize(
    ("width", "height", "pad", "expected"),
    [
        (100, 50, "center", (64, 32, 0, 16)),
        (50, 100, "center", (32, 64, 16, 0)),
        (50, 100, "topleft", (32, 64, 0, 0)),
        (100, 49, "center", (64, 31, 0, 16)),  # an odd rest: the larger half lies below
        (1, 1, "center", (64, 64, 0, 0)),
        (10_000, 3, "center", (64, 1, 0, 31)),
        (3, 10_000, "topleft", (1, 64, 0, 0)),
        (49, 49, "center", (64, 64, 0, 0)),  # with floats 49 * (64 / 49) is 63.99...
    ],
)
def test_place(width, height, pad, expected):
    box = Letterbox(width, height, 64, pad)
    assert (box.inner_width, box.inner_height, box.left, box.top) == expected


def test_the_longest_side_fills_the_canvas():
    for side in range(1, 2000):
        assert Letterbox(side, max(1, side // 2), 640).inner_width == 640


@pytest.mark.parametrize("pad", ["center", "topleft"])
@pytest.mark.parametrize(("width", "height"), [(90, 30), (30, 90), (1, 1), (400, 2), (64, 64)])
def test_corners_go_to_the_corners_of_the_drawn_image(width, height, pad):
    box = Letterbox(width, height, 64, pad)
    image = np.full((height, width, 3), 200, np.uint8)
    before = image.copy()
    canvas = box.draw(image)
    assert np.array_equal(image, before)
    assert (canvas.shape, canvas.dtype) == ((64, 64, 3), np.uint8)
    rows, columns = np.nonzero(canvas.any(axis=2))
    (left, top), (right, bottom) = box.to_canvas([[0, 0], [width, height]])
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (top, bottom, left, right)
    assert (canvas[rows, columns] == 200).all()


def test_a_mark_in_the_image_lies_where_its_point_goes():
    image = np.zeros((100, 300, 3), np.uint8)
    image[40:52, 210:228] = 255
    box = Letterbox(300, 100, 96)
    canvas = box.draw(image)[..., 0].astype(float)
    ys, xs = np.mgrid[:96, :96] + 0.5
    centre = [(canvas * xs).sum() / canvas.sum(), (canvas * ys).sum() / canvas.sum()]
    np.testing.assert_allclose(centre, box.to_canvas([219, 46]), atol=0.05)


def test_a_map_goes_back_to_the_image():
    box = Letterbox(200, 100, 64)
    prob_map = np.zeros((64, 64), np.float32)
    prob_map[16:48] = 0.5
    prob_map[:16] = prob_map[48:] = 1  # padding, of which nothing may leak in
    image_map = box.map_to_image(prob_map)
    assert image_map.shape == (100, 200)
    assert np.array_equal(np.unique(image_map), [0.5])


def test_points_of_any_shape_are_taken_and_left_alone():
    box = Letterbox(200, 100, 64)
    points = np.array([[10, 20], [30, 40]], np.int32)
    points.flags.writeable = False
    on_canvas = box.to_canvas(points)
    assert on_canvas.dtype == np.float64
    np.testing.assert_allclose(on_canvas, [[3.2, 22.4], [9.6, 28.8]])
    assert np.array_equal(box.to_image(on_canvas[0]), box.to_image(on_canvas)[0])


@pytest.mark.parametrize("size", [64, 416])
def test_filters(size):
    image = np.random.default_rng(0).integers(0, 256, (100, 200, 3), dtype=np.uint8)
    bilinear = Letterbox(200, 100, size, interpolation="bilinear")
    drawn = bilinear.draw(image)[bilinear.top : bilinear.top + bilinear.inner_height]
    expected = cv2.resize(image, (size, size // 2), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(drawn, expected)
    averaged = Letterbox(200, 100, size).draw(image)
    # Made larger, an image is the same by either.
    assert np.array_equal(averaged, bilinear.draw(image)) == (size > 200)
    if size < 200:
        means = cv2.resize(image, (size, size // 2), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(averaged[bilinear.top : bilinear.top + bilinear.inner_height], means)
