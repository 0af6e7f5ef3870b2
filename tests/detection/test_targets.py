"""Training targets, against distances worked out pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from optdet.detection.targets import build_targets
from optdet.geometry.offset import shrink_distance

SIZE = 72


def rotated(x, y, width, height, degrees):
    turn = np.deg2rad(degrees)
    corners = np.array([[-width, -height], [width, -height], [width, height], [-width, height]]) / 2
    return corners @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + (x, y)


WORDS = [
    rotated(24, 16, 34, 14, 0),
    rotated(40, 44, 46, 16, 25),
    rotated(66, 20, 22, 12, 80),  # over the right border
    np.array([[4.5, 50.2], [18, 47], [22, 56.5], [19, 66], [5, 69]]),
]


def pixels():
    ys, xs = np.mgrid[:SIZE, :SIZE]
    return shapely.points(xs.ravel(), ys.ravel())


def per_pixel(words):
    """Closeness, and signed distances to each word's outline (negative inside), one pixel at a time."""
    closeness, signed = np.zeros((SIZE, SIZE)), []
    points = pixels()
    for word in words:
        polygon = shapely.Polygon(word)
        away = shapely.distance(points, polygon.exterior).reshape(SIZE, SIZE)
        closeness = np.maximum(closeness, 1 - away / shrink_distance(word, 0.4))
        signed.append(np.where(shapely.contains(polygon, points).reshape(SIZE, SIZE), -away, away))
    return closeness, signed


def test_threshold_map_falls_from_the_outline_to_the_distance():
    targets = build_targets(WORDS, [False] * 4, SIZE)
    closeness, _ = per_pixel(WORDS)
    thresh_map = targets.thresh_map(thresh_min=0.3, thresh_max=0.7)
    np.testing.assert_allclose(thresh_map, closeness * 0.4 + 0.3, atol=1e-5)
    assert thresh_map.max() > 0.69


def test_threshold_mask_is_the_grown_words():
    mask = build_targets(WORDS, [False] * 4, SIZE).thresh_mask
    _, signed = per_pixel(WORDS)
    margins = [away - shrink_distance(word, 0.4) for away, word in zip(signed, WORDS, strict=True)]
    nearest = np.min(margins, axis=0)
    # Clipper truncates, and fillPoly draws the border: a pixel or two of doubt.
    assert (mask[nearest < -2] == 1).all()
    assert (mask[nearest > 2] == 0).all()


def test_shrink_map_is_the_words_cores():
    targets = build_targets(WORDS, [False] * 4, SIZE)
    _, signed = per_pixel(WORDS)
    depth = np.max([-away - shrink_distance(w, 0.4) for away, w in zip(signed, WORDS, strict=True)], axis=0)
    assert (targets.shrink_map[depth > 2] == 1).all()
    assert (targets.shrink_map[depth < -2] == 0).all()
    assert set(np.unique(targets.shrink_map)) == {0, 1}
    assert (targets.shrink_mask == 1).all()


def test_a_smaller_ratio_shrinks_more():
    cores = [
        build_targets(WORDS, [False] * 4, SIZE, shrink_ratio=r).shrink_map.sum() for r in (0.3, 0.4, 0.6)
    ]
    assert cores == sorted(cores)
    assert len(set(cores)) == 3


def test_an_ignored_word_is_masked_and_not_learnt():
    targets = build_targets(WORDS, [False, True, False, False], SIZE)
    without = build_targets([WORDS[0], *WORDS[2:]], [False] * 3, SIZE)
    for name in ("shrink_map", "closeness", "thresh_mask"):
        assert np.array_equal(getattr(targets, name), getattr(without, name))
    _, signed = per_pixel(WORDS)
    free = without.shrink_map == 0
    assert (targets.shrink_mask[(signed[1] < -1.5) & free] == 0).all()
    assert (targets.shrink_mask[signed[1] > 1.5] == 1).all()


@pytest.mark.parametrize(
    "word",
    [rotated(20, 20, 30, 2.5, 0), rotated(20, 20, 2, 2, 0), np.array([[20.0, 20], [30, 20], [40, 20]])],
    ids=["low", "speck", "line"],
)
def test_a_tiny_word_is_masked_and_not_learnt(word):
    targets = build_targets([word], [False], SIZE)
    assert targets.shrink_map.sum() == 0
    assert targets.thresh_mask.sum() == 0
    assert not targets.closeness.any()
    assert 0 < (targets.shrink_mask == 0).sum() < 200


def test_min_side_decides_what_is_tiny():
    word = rotated(30, 30, 40, 7, 0)
    assert build_targets([word], [False], SIZE, min_side=6.9).shrink_map.any()
    assert not build_targets([word], [False], SIZE, min_side=7.1).shrink_map.any()


def test_a_word_over_an_ignored_area_is_still_learnt():
    everything = np.array([[0.0, 0], [SIZE, 0], [SIZE, SIZE], [0, SIZE]])
    for words, ignored in (([everything, WORDS[1]], [True, False]), ([WORDS[1], everything], [False, True])):
        targets = build_targets(words, ignored, SIZE)
        assert targets.shrink_map.any()
        assert np.array_equal(targets.shrink_mask, targets.shrink_map)


def test_no_words_leave_everything_to_learn():
    targets = build_targets([], [], SIZE)
    assert not targets.shrink_map.any()
    assert targets.shrink_mask.all()
    assert not targets.thresh_mask.any()


def test_bounds_of_the_threshold_map():
    thresh_map = build_targets(WORDS, [False] * 4, SIZE).thresh_map(thresh_min=0.1, thresh_max=0.9)
    assert thresh_map.min() == np.float32(0.1)
    assert 0.85 < thresh_map.max() <= 0.9 + 1e-6


def test_without_the_threshold_branch_only_the_cores_are_made():
    targets = build_targets(WORDS, [False] * 4, SIZE, thresh_branch=False)
    assert np.array_equal(targets.shrink_map, build_targets(WORDS, [False] * 4, SIZE).shrink_map)
    assert not targets.thresh_mask.any()


def test_inputs_stay_and_maps_are_small():
    words = [word.copy() for word in WORDS]
    for word in words:
        word.flags.writeable = False
    targets = build_targets(words, [False] * 4, SIZE)
    for name, dtype in (("regions", np.uint8), ("closeness", np.int16)):
        values = getattr(targets, name)
        assert (values.shape, values.dtype) == ((SIZE, SIZE), dtype)


def test_a_word_outside_of_the_canvas_changes_nothing():
    far = build_targets([rotated(-200, 500, 40, 16, 10)], [False], SIZE)
    assert not far.shrink_map.any()
    assert not far.thresh_mask.any()


def test_words_and_flags_belong_together():
    with pytest.raises(ValueError, match="4 polygons, but 1 flags"):
        build_targets(WORDS, [False], SIZE)
