"""An image that fills its map whole; letterboxes have a file of their own."""

from __future__ import annotations

import numpy as np
import pytest

from optdet.geometry.letterbox import Letterbox
from optdet.geometry.placement import Stretch


def test_x_and_y_are_scaled_apart():
    box = Stretch(400, 100, canvas_width=200, canvas_height=300)
    assert (box.inner_width, box.inner_height, box.left, box.top) == (200, 300, 0, 0)
    np.testing.assert_array_equal(box.to_canvas([[400, 100], [100, 50]]), [[200, 300], [50, 150]])
    np.testing.assert_array_equal(box.to_image([[200, 300], [50, 150]]), [[400, 100], [100, 50]])


def test_a_map_goes_back_to_the_image():
    prob_map = np.zeros((30, 20), np.float32)
    prob_map[:, 10:] = 1
    image_map = Stretch(40, 10, 20, 30).map_to_image(prob_map)
    assert image_map.shape == (10, 40)
    assert (image_map[:, :18] == 0).all()
    assert (image_map[:, 22:] == 1).all()


@pytest.mark.parametrize("side", [64, 320])
def test_a_square_image_is_placed_the_same_either_way(side):
    points = np.random.default_rng(0).random((20, 2)) * side
    letterbox, stretch = Letterbox(100, 100, side), Stretch(100, 100, side, side)
    assert (letterbox.canvas_width, letterbox.canvas_height) == (side, side)
    np.testing.assert_array_equal(letterbox.to_image(points), stretch.to_image(points))
