"""A map from one canvas of its image to another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optdet.geometry.letterbox import Letterbox
from optdet.geometry.placement import Stretch
from optdet.geometry.resample import onto_canvas

IMAGE = (90, 61)


def drawn(place, blob=(30, 20, 70, 40)):
    """The map of a box in the image, as a canvas shows it."""
    image = np.zeros((place.height, place.width, 3), np.uint8)
    left, top, right, bottom = blob
    image[top:bottom, left:right] = 200
    return np.asarray(place.draw(image)[..., 0] / 255, np.float16)


def centre_of(prob_map, place):
    """The middle of what a map shows, in image pixels."""
    values = np.asarray(prob_map, np.float64)
    y, x = np.indices(values.shape) + 0.5
    middle = [(values * axis).sum() / values.sum() for axis in (x, y)]
    return place.to_image([middle])[0]


@pytest.mark.parametrize("pad", ["center", "topleft"])
@pytest.mark.parametrize("size", [480, 512, 960])
def test_what_a_map_shows_stays_where_it_is_in_the_image(size, pad):
    own, canvas = Letterbox(*IMAGE, size=512), Letterbox(*IMAGE, size=size, pad=pad)
    moved = onto_canvas(drawn(own), own, canvas)
    assert moved.shape == (size, size)
    assert moved.dtype == np.float16
    np.testing.assert_allclose(centre_of(moved, canvas), [50, 30], atol=0.02)
    np.testing.assert_allclose(
        np.asarray(moved, float).sum() / size**2, drawn(own).mean(dtype=float), rtol=0.01
    )
    inside = moved[canvas.top : canvas.top + canvas.inner_height]
    assert inside.sum(dtype=float) == moved.sum(dtype=float)


def test_the_same_canvas_changes_no_bit():
    place = Letterbox(*IMAGE, size=64)
    values = np.random.default_rng(0).random((64, 64)).astype(np.float16)
    moved = onto_canvas(values, place, Letterbox(*IMAGE, size=64))
    assert moved.tobytes() == values.tobytes()


def test_a_canvas_that_differs_in_its_filter_alone_is_the_same():
    """Also in the padding, which a network may see something in."""
    place = Letterbox(*IMAGE, size=64)
    values = np.random.default_rng(0).random((64, 64)).astype(np.float16)
    assert onto_canvas(values, place, replace(place, interpolation="bilinear")).tobytes() == values.tobytes()
    assert onto_canvas(values, place, replace(place, pad="topleft")).tobytes() != values.tobytes()


def test_maps_of_the_whole_image():
    own, canvas = Stretch(*IMAGE, canvas_width=96, canvas_height=64), Letterbox(*IMAGE, size=128)
    values = np.zeros((64, 96), np.float16)
    values[:, 48:] = 1  # the right half
    moved = np.asarray(onto_canvas(values, own, canvas), float)
    np.testing.assert_allclose(centre_of(moved, canvas), [67.5, 30.5], atol=0.3)


def test_a_canvas_of_another_image():
    place = Letterbox(*IMAGE, size=64)
    with pytest.raises(ValueError, match="expected canvases of one image, got 90 x 61 and 61 x 90"):
        onto_canvas(np.zeros((64, 64), np.float16), place, Letterbox(61, 90, size=64))
