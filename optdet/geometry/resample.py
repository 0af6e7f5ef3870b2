"""A map from one canvas of its image to another: the same place in the image, at another resolution.

A pixel is a square, and its value that of its middle, as where an image is drawn on a canvas: the image's
part of the one canvas is resized to the image's part of the other, x and y by their own exact factors.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from optdet.geometry.placement import Placement


def onto_canvas(prob_map: NDArray[np.floating], own: Placement, canvas: Placement) -> NDArray[np.float16]:
    """The map (H, W) of an image that lies ``own``, as one of ``canvas``: the same values where the two are
    equal but for the filter that draws the image, else linear up and by area down, and 0 in the padding.
    ValueError for another image's canvas.
    """
    if _lies(own) == _lies(canvas):
        return np.asarray(prob_map, dtype=np.float16)
    if (own.width, own.height) != (canvas.width, canvas.height):
        raise ValueError(
            f"expected canvases of one image, got {own.width} x {own.height} and "
            f"{canvas.width} x {canvas.height}"
        )
    part = np.asarray(_part(prob_map, own), dtype=np.float32)
    shrinks = own.inner_width * own.inner_height > canvas.inner_width * canvas.inner_height
    resized = cv2.resize(
        part,
        (canvas.inner_width, canvas.inner_height),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )
    moved = np.zeros((canvas.canvas_height, canvas.canvas_width), dtype=np.float16)
    _part(moved, canvas)[:] = np.clip(resized, 0, 1)
    return moved


def _lies(place: Placement) -> tuple[int, ...]:
    """Where an image is on its canvas, without the filter that draws it there."""
    return (
        *(place.width, place.height, place.canvas_width, place.canvas_height),
        *(place.inner_width, place.inner_height, place.left, place.top),
    )


def _part(array: NDArray[np.floating], place: Placement) -> NDArray[np.floating]:
    """A view of the image's part."""
    return array[place.top : place.top + place.inner_height, place.left : place.left + place.inner_width]
