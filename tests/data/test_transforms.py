"""Augmentation: words stay on their pixels, none is lost while in sight, and one seed is one result."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from optdet.config import AugmentConfig
from optdet.data.transforms import Augmentation, CanvasSample, sample_seed
from optdet.detection.targets import build_targets
from optdet.geometry.polygons import area, signed_area
from optdet.geometry.raster import fill
from optdet.structures import FloatArray

SIZE = 128
OFF: dict[str, Any] = {
    "flip_prob": 0.0,
    "rotate_degrees": 0.0,
    "scale_min": 1.0,
    "scale_max": 1.0,
    "shift_ratio": 0.0,
    "geometry_prob": 1.0,
    "color_prob": 0.0,
    "blur_prob": 0.0,
    "noise_prob": 0.0,
}
EVERYTHING = AugmentConfig(
    flip_prob=0.5, rotate_degrees=20, shift_ratio=0.2, color_prob=0.5, blur_prob=0.5, noise_prob=0.5
)
QUAD = np.array([[40.0, 50.0], [80.0, 54.0], [79.0, 70.0], [39.0, 66.0]])


def only(**settings_: Any) -> Augmentation:
    return Augmentation(AugmentConfig(**{**OFF, **settings_}))


def white_on_black(*polygons: FloatArray) -> CanvasSample:
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(image, [polygon.astype(np.int32)], (255, 255, 255))
    return CanvasSample(image, polygons, (False,) * len(polygons))


def overlap(image: NDArray[np.uint8], polygon: FloatArray) -> float:
    """Intersection over union of the white pixels and the polygon's."""
    mask = np.zeros(image.shape[:2], np.uint8)
    fill(mask, [np.round(polygon)], 1)
    white = image[..., 0] > 127
    return float((white & (mask > 0)).sum() / (white | (mask > 0)).sum())


# --- one seed, one result ----------------------------------------------------------------------------------


def test_one_seed_gives_the_same_bytes_whatever_came_before() -> None:
    first, second = Augmentation(EVERYTHING), Augmentation(EVERYTHING)
    second(white_on_black(QUAD), 99)
    for seed in range(20):
        one, other = first(white_on_black(QUAD), seed), second(white_on_black(QUAD), seed)
        assert one.image.tobytes() == other.image.tobytes()
        assert [p.tobytes() for p in one.polygons] == [p.tobytes() for p in other.polygons]
        assert one.ignored == other.ignored


def test_other_seeds_give_other_images() -> None:
    augment = Augmentation(EVERYTHING)
    assert len({augment(white_on_black(QUAD), seed).image.tobytes() for seed in range(20)}) > 15


def test_every_transform_draws_for_itself() -> None:
    """Of images that are flipped half the time and changed in colour half the time, a quarter is both."""
    augment = only(geometry_prob=0.0, flip_prob=0.5, color_prob=0.5)
    grey = np.full((8, 8, 3), 100, np.uint8)
    sample = CanvasSample(grey, (np.array([[1.0, 1], [2, 1], [2, 2]]),), (False,))
    outcomes = [augment(sample, seed) for seed in range(400)]
    flipped = np.array([outcome.polygons[0].max() > 3 for outcome in outcomes])
    coloured = np.array([(outcome.image != grey).any() for outcome in outcomes])
    assert 0.4 < flipped.mean() < 0.6
    assert abs((flipped & coloured).mean() - flipped.mean() * coloured.mean()) < 0.07


def test_the_input_is_unchanged() -> None:
    sample = white_on_black(QUAD)
    image, polygon = sample.image.copy(), QUAD.copy()
    for seed in range(10):
        Augmentation(EVERYTHING)(sample, seed)
    np.testing.assert_array_equal(sample.image, image)
    np.testing.assert_array_equal(sample.polygons[0], polygon)


def test_sample_seeds_differ_by_each_number() -> None:
    seeds = {sample_seed(s, e, i) for s in range(5) for e in range(5) for i in range(5)}
    assert len(seeds) == 125
    assert sample_seed(3, 2, 1) == sample_seed(3, 2, 1)


@pytest.mark.slow
def test_albumentations_is_imported_without_asking_the_network() -> None:
    code = (
        "import os, optdet.data.transforms\n"
        "import albumentations.check_version as check\n"
        "assert check.opener is None, 'it asked'\n"
        "print(os.environ['NO_ALBUMENTATIONS_UPDATE'])"
    )
    environment = {k: v for k, v in os.environ.items() if k != "NO_ALBUMENTATIONS_UPDATE"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stderr


# --- image and words move together -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"flip_prob": 1.0, "geometry_prob": 0.0},
        {"rotate_degrees": 45.0},
        {"rotate_degrees": 180.0},
        {"scale_min": 0.6, "scale_max": 1.4},
        {"shift_ratio": 0.2},
        {"flip_prob": 0.5, "rotate_degrees": 30.0, "scale_min": 0.8, "scale_max": 1.25, "shift_ratio": 0.1},
    ],
    ids=["none", "flip", "rotate", "turn", "scale", "shift", "all"],
)
def test_words_stay_on_their_pixels(change: dict[str, Any]) -> None:
    augment = only(**change)
    for seed in range(25):
        moved = augment(white_on_black(QUAD), seed)
        assert overlap(moved.image, moved.polygons[0]) > 0.9


def test_geometry_really_moves() -> None:
    for change in ({"rotate_degrees": 45.0}, {"scale_min": 0.6, "scale_max": 1.4}, {"shift_ratio": 0.2}):
        moved = [only(**change)(white_on_black(QUAD), seed).polygons[0] for seed in range(10)]
        assert max(np.abs(polygon - QUAD).max() for polygon in moved) > 3


def test_colour_blur_and_noise_leave_words_where_they_are() -> None:
    augment = only(geometry_prob=0.0, color_prob=1.0, blur_prob=1.0, noise_prob=1.0)
    changed = augment(white_on_black(QUAD), 1)
    np.testing.assert_array_equal(changed.polygons[0], QUAD)
    assert (changed.image != white_on_black(QUAD).image).any()
    assert (changed.image.dtype, changed.image.shape) == (np.uint8, (SIZE, SIZE, 3))


def test_a_flipped_quad_stays_clockwise_and_starts_at_its_top_left() -> None:
    upright = np.array([[20.0, 30.0], [60.0, 30.0], [60.0, 45.0], [20.0, 45.0]])
    flipped = only(flip_prob=1.0, geometry_prob=0.0)(white_on_black(upright), 0).polygons[0]
    assert signed_area(flipped) > 0
    # Pixel centres are whole numbers: column x becomes column size - 1 - x.
    left, right = SIZE - 1 - 60, SIZE - 1 - 20
    np.testing.assert_array_equal(flipped, [[left, 30], [right, 30], [right, 45], [left, 45]])


def test_a_flipped_polygon_of_six_points_starts_where_its_top_side_does() -> None:
    hexagon = np.array([[20.0, 30], [40, 28], [60, 30], [60, 45], [40, 43], [20, 45]])
    flipped = only(flip_prob=1.0, geometry_prob=0.0)(white_on_black(hexagon), 0).polygons[0]
    mirrored = hexagon * (-1, 1) + (SIZE - 1, 0)
    np.testing.assert_array_equal(flipped, mirrored[[2, 1, 0, 5, 4, 3]])


def test_an_image_without_words() -> None:
    bare = CanvasSample(np.zeros((SIZE, SIZE, 3), np.uint8), (), ())
    for seed in range(5):
        changed = Augmentation(EVERYTHING)(bare, seed)
        assert (changed.polygons, changed.ignored) == ((), ())


# --- words at the frame ------------------------------------------------------------------------------------


def cut(left: float, right: float, **settings_: Any) -> CanvasSample:
    """A word that reaches over the frame from ``left`` to ``right``, not moved any further."""
    word = np.array([[left, 50.0], [right, 50.0], [right, 60.0], [left, 60.0]])
    return only(**settings_)(white_on_black(word), 0)


def test_a_word_at_the_frame_is_clipped() -> None:
    clipped = cut(-4.0, 16.0)
    np.testing.assert_allclose(clipped.polygons[0].min(axis=0), [0, 50])
    np.testing.assert_allclose(clipped.polygons[0].max(axis=0), [16, 60])
    assert clipped.ignored == (False,)


@pytest.mark.parametrize(("left", "right", "ignored"), [(-9, 11, False), (-11, 9, True), (-100, 1, True)])
def test_a_word_less_than_half_in_sight_is_ignored(left: float, right: float, ignored: bool) -> None:
    assert cut(left, right).ignored == (ignored,)


def test_how_much_must_be_in_sight_is_a_setting() -> None:
    assert cut(-15, 5, min_visible_ratio=0.2).ignored == (False,)
    assert cut(-5, 15, min_visible_ratio=0.8).ignored == (True,)


def test_a_word_that_becomes_ignored_is_masked_and_not_learnt() -> None:
    clipped = cut(-30, 20)
    maps = build_targets(clipped.polygons, clipped.ignored, SIZE)
    assert maps.shrink_map.sum() == 0
    assert (maps.shrink_mask[51:60, 0:20] == 0).all()
    assert (maps.shrink_mask[:, 25:] == 1).all()


def test_a_word_out_of_sight_is_gone_and_the_others_keep_their_flags() -> None:
    words = [QUAD, QUAD + np.array([SIZE, 0]), QUAD + np.array([0, 30])]
    sample = CanvasSample(np.zeros((SIZE, SIZE, 3), np.uint8), tuple(words), (True, False, False))
    changed = only()(sample, 0)
    np.testing.assert_array_equal(np.stack(changed.polygons), np.stack([words[0], words[2]]))
    assert changed.ignored == (True, False)


@given(seed=st.integers(0, 2**32 - 1), x=st.floats(-30, 120), y=st.floats(-10, 120))
@settings(max_examples=60, deadline=None)
def test_no_word_vanishes_while_a_part_of_it_is_in_sight(seed: int, x: float, y: float) -> None:
    word = np.array([[x, y], [x + 40, y + 3], [x + 39, y + 15], [x - 1, y + 12]])
    sample = CanvasSample(np.full((SIZE, SIZE, 3), 255, np.uint8), (word,), (False,))
    marked = CanvasSample(white_on_black(word).image, (), ())
    augment = only(flip_prob=0.5, rotate_degrees=20.0, scale_min=0.8, scale_max=1.25, shift_ratio=0.2)
    changed = augment(sample, seed)
    in_sight = (augment(marked, seed).image[..., 0] > 127).sum()
    if in_sight > 4 * SIZE:  # more than the rim of pixels that rounding may give or take
        assert len(changed.polygons) == 1
    for polygon in changed.polygons:
        assert polygon.min() >= 0
        assert polygon.max() <= SIZE
        assert area(polygon) > 0
