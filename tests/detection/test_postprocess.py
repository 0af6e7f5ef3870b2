"""Prob map to detections, against a plain rewrite of what the DB authors' representer does."""

from __future__ import annotations

import weakref
from dataclasses import replace

import cv2
import numpy as np
import pyclipper
import pytest
import shapely

from optdet.detection.postprocess import MapDetector
from optdet.geometry.letterbox import Letterbox
from optdet.structures import Thresholds

SIZE = 96
QUADS = Thresholds(0.3, 0.4, 1.5, 1000, False, 3.0)
POLYGONS = replace(QUADS, use_polygon=True, unclip_ratio=2.0)
SQUARE = Letterbox(SIZE, SIZE, SIZE)


# The rewrite: one contour after the other, nothing remembered, shapely and pyclipper called directly.


def mini_box(points):
    rectangle = cv2.minAreaRect(points)
    corners = sorted(cv2.boxPoints(rectangle), key=lambda corner: corner[0])
    left, right = sorted(corners[:2], key=lambda corner: corner[1]), sorted(corners[2:], key=lambda c: c[1])
    return np.array([left[0], right[0], right[1], left[1]], np.float32), min(rectangle[1])


def mean_score(prob_map, shape):
    height, width = prob_map.shape
    x1, x2 = (
        int(v) for v in np.clip([np.floor(shape[:, 0].min()), np.ceil(shape[:, 0].max())], 0, width - 1)
    )
    y1, y2 = (
        int(v) for v in np.clip([np.floor(shape[:, 1].min()), np.ceil(shape[:, 1].max())], 0, height - 1)
    )
    mask = np.zeros((y2 - y1 + 1, x2 - x1 + 1), np.uint8)
    moved = shape.copy()
    moved[:, 0] -= x1
    moved[:, 1] -= y1
    cv2.fillPoly(mask, [moved.astype(np.int32)], 1)
    return cv2.mean(prob_map[y1 : y2 + 1, x1 : x2 + 1], mask)[0]


def unclip(shape, ratio):
    outline = shapely.Polygon(shape)
    offset = pyclipper.PyclipperOffset()
    try:
        offset.AddPath(shape.tolist(), pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    except pyclipper.ClipperException:
        return None
    parts = offset.Execute(outline.area * ratio / outline.length if outline.length else 0)
    parts = [np.array(part) for part in parts if len(part) > 2]
    return max(parts, key=lambda part: shapely.Polygon(part).area) if parts else None


def outline_of(contour, use_polygon):
    if not use_polygon:
        return mini_box(contour)
    points = cv2.approxPolyDP(contour, 0.002 * cv2.arcLength(contour, True), True).reshape(-1, 2)
    return (points, float("inf")) if len(points) >= 4 else (points, -1)


def grown(contour, prob_map, thresholds):
    """The expanded shape on the canvas and its score, or None where a filter drops it."""
    shape, side = outline_of(contour, thresholds.use_polygon)
    if side < thresholds.min_side:
        return None
    score = mean_score(prob_map, shape)
    if score < thresholds.box_thresh:
        return None
    outline = unclip(shape, thresholds.unclip_ratio)
    if outline is None:
        return None
    box, side = mini_box(outline.reshape(-1, 1, 2).astype(np.int32))
    return None if side < thresholds.min_side + 2 else (outline if thresholds.use_polygon else box, score)


def plain_detect(prob_map, letterbox, thresholds, *, clip, cap):
    prob_map = prob_map.astype(np.float32)
    binary = (prob_map > np.float32(thresholds.thresh)).astype(np.uint8)
    found = []
    for contour in cv2.findContours(binary, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)[0][
        : thresholds.max_candidates
    ]:
        kept = grown(contour, prob_map, thresholds)
        if kept is None:
            continue
        shape, score = kept
        polygon = np.empty((len(shape), 2), np.int32)
        for row, (x, y) in enumerate(shape.astype(np.float64)):
            px = np.round((x - letterbox.left) / letterbox.inner_width * letterbox.width)
            py = np.round((y - letterbox.top) / letterbox.inner_height * letterbox.height)
            if clip:
                px, py = min(max(px, 0), letterbox.width), min(max(py, 0), letterbox.height)
            polygon[row] = px, py
        x, y = polygon.astype(float).T
        if clip and (x @ np.roll(y, -1) - y @ np.roll(x, -1)) == 0:
            continue
        found.append((score, polygon))
    if cap is not None and len(found) > cap:
        ranked = sorted(range(len(found)), key=lambda index: -found[index][0])[:cap]
        found = [found[index] for index in sorted(ranked)]
    return found


def assert_same(detections, expected):
    assert len(detections) == len(expected)
    assert detections.scores.tolist() == [score for score, _ in expected]
    for got, (_, polygon) in zip(detections.polygons, expected, strict=True):
        assert got.dtype == np.int32
        assert np.array_equal(got, polygon)


def blobs(rng):
    """A map of rotated words, some over the border, tiny ones, rings with words in them, and noise."""
    canvas = np.zeros((SIZE, SIZE), np.float32)
    for _ in range(rng.integers(3, 9)):
        centre, angle = rng.uniform(-4, SIZE + 4, 2), rng.choice([0.0, 0.0, rng.uniform(-90, 90)])
        sides = rng.uniform(2, 40), rng.uniform(1, 14)
        corners = cv2.boxPoints((centre.tolist(), sides, float(angle)))
        cv2.fillPoly(canvas, [corners.astype(np.int32)], float(rng.uniform(0.2, 1)))
    if rng.random() < 0.5:
        x, y = (int(v) for v in rng.integers(0, SIZE - 30, 2))
        cv2.rectangle(canvas, (x, y), (x + 28, y + 22), float(rng.uniform(0.4, 1)), 3)
        cv2.rectangle(canvas, (x + 10, y + 8), (x + 18, y + 13), 0.8, -1)
    for x, y in rng.integers(0, SIZE, (6, 2)):
        canvas[y, x] = rng.random()
    if rng.random() < 0.7:
        canvas = cv2.GaussianBlur(canvas, (0, 0), float(rng.uniform(0.5, 2)))
    noisy = canvas + rng.normal(0, rng.choice([0, 0.05]), canvas.shape)
    return np.clip(noisy, 0, 1).astype(rng.choice([np.float16, np.float32]))


def some_thresholds(rng, *, use_polygon):
    return Thresholds(
        thresh=float(rng.choice([0.1, 0.2, 0.3, 0.45, 0.6])),
        box_thresh=float(rng.choice([0.0, 0.3, 0.5, 0.7])),
        unclip_ratio=float(rng.choice([0.3, 1.0, 1.5, 2.0, 3.0])),
        max_candidates=int(rng.choice([2, 7, 1000])),
        use_polygon=use_polygon,
        min_side=float(rng.choice([0.0, 3.0, 5.0])),
    )


@pytest.mark.parametrize("use_polygon", [False, True], ids=["quads", "polygons"])
@pytest.mark.parametrize("seed", range(4))
def test_conformance(seed, use_polygon):
    # One detector answers for many configurations of a map: what it remembers must not show.
    rng = np.random.default_rng(seed)
    n_detections = 0
    for _ in range(25):
        prob_map = blobs(rng)
        width, height = (int(v) for v in rng.integers(20, 300, 2))
        letterbox = Letterbox(width, height, SIZE, str(rng.choice(["center", "topleft"])))
        clip, cap = bool(rng.integers(2)), [None, 500, 3][rng.integers(3)]
        detector = MapDetector(prob_map, letterbox, clip=clip, max_detections=cap)
        for _ in range(16):
            thresholds = some_thresholds(rng, use_polygon=use_polygon)
            expected = plain_detect(prob_map, letterbox, thresholds, clip=clip, cap=cap)
            assert_same(detector.detect(thresholds), expected)
            n_detections += len(expected)
    assert n_detections > 300


def test_a_detector_asked_much_gives_what_a_fresh_one_gives():
    rng = np.random.default_rng(11)
    prob_map = blobs(rng)
    asked = MapDetector(prob_map, SQUARE)
    for _ in range(60):
        thresholds = some_thresholds(rng, use_polygon=bool(rng.integers(2)))
        fresh, again = MapDetector(prob_map, SQUARE).detect(thresholds), asked.detect(thresholds)
        assert_same(again, list(zip(fresh.scores.tolist(), fresh.polygons, strict=True)))


def word_map(*words, size=SIZE):
    """Upright words (x1, y1, x2, y2, probability)."""
    prob_map = np.zeros((size, size), np.float32)
    for x1, y1, x2, y2, prob in words:
        prob_map[y1:y2, x1:x2] = prob
    return prob_map


def test_one_word_by_hand():
    # Contour corners (20, 30) and (59, 39): area 39 * 9, perimeter 96, so it grows by 351 * 1.5 / 96 = 5.48.
    detections = MapDetector(word_map((20, 30, 60, 40, 0.8)), SQUARE).detect(QUADS)
    (polygon,) = detections.polygons
    assert np.abs(polygon - [[14.5, 24.5], [64.5, 24.5], [64.5, 44.5], [14.5, 44.5]]).max() <= 1
    assert detections.scores.tolist() == [pytest.approx(0.8)]


def test_thresh_is_strict_and_box_thresh_is_not():
    detector = MapDetector(word_map((20, 30, 60, 40, 0.5)), SQUARE)
    at_the_score = replace(QUADS, thresh=0.4999, box_thresh=0.5)
    assert len(detector.detect(at_the_score)) == 1
    assert len(detector.detect(replace(at_the_score, box_thresh=0.5001))) == 0
    assert len(detector.detect(replace(at_the_score, thresh=0.5))) == 0


def test_thresh_is_compared_in_single_precision():
    value = np.float32(0.3)  # 0.30000001 in double precision
    assert (
        len(MapDetector(word_map((20, 30, 60, 40, value)), SQUARE).detect(replace(QUADS, box_thresh=0))) == 0
    )


@pytest.mark.parametrize("use_polygon", [False, True])
def test_half_precision_maps_count_at_their_own_values(use_polygon):
    rng = np.random.default_rng(5)
    thresholds = replace(QUADS, use_polygon=use_polygon)
    for _ in range(10):
        half = blobs(rng).astype(np.float16)
        wide = MapDetector(half.astype(np.float32), SQUARE).detect(thresholds)
        assert_same(
            MapDetector(half, SQUARE).detect(thresholds),
            list(zip(wide.scores.tolist(), wide.polygons, strict=True)),
        )


def test_max_candidates_is_a_prefix_of_the_raw_contours():
    # From the bottom up: a speck that the filters drop, then three words. The speck uses up a place.
    words = [(10, y, 60, y + 10, 0.9) for y in (5, 25, 45)]
    detector = MapDetector(word_map(*words, (10, 80, 11, 81, 0.9)), SQUARE)
    assert detector.n_contours(QUADS) == 4
    every = detector.detect(QUADS)
    assert [round(polygon[:, 1].mean()) for polygon in every.polygons] == [50, 30, 10]
    for n in range(1, 6):
        some = detector.detect(replace(QUADS, max_candidates=n))
        assert_same(some, list(zip(every.scores.tolist(), every.polygons, strict=True))[: n - 1])


def crowded_map():
    """576 words on a map of 480, in 24 rows, each with a probability of its own."""
    rng = np.random.default_rng(2)
    values = rng.permutation(np.linspace(0.5, 0.99, 576)).astype(np.float32)
    cells = [(20 * column + 3, 20 * row + 5) for row in range(24) for column in range(24)]
    words = [(x, y, x + 12, y + 7, value) for (x, y), value in zip(cells, values, strict=True)]
    return word_map(*words, size=480)


def test_of_too_many_detections_the_highest_scores_are_kept_in_order():
    prob_map, square = crowded_map(), Letterbox(480, 480, 480)
    every = MapDetector(prob_map, square, max_detections=None).detect(QUADS)
    capped = MapDetector(prob_map, square).detect(QUADS)
    assert (len(every), len(capped)) == (576, 500)
    kept = every.scores >= np.sort(every.scores)[-500]
    expected = [(every.scores[index], every.polygons[index]) for index in np.flatnonzero(kept)]
    assert_same(capped, expected)


def test_of_equal_scores_the_first_are_kept():
    prob_map = word_map(*[(10, y, 60, y + 10, 0.75) for y in (5, 25, 45, 65)])
    every = MapDetector(prob_map, SQUARE).detect(QUADS)
    capped = MapDetector(prob_map, SQUARE, max_detections=2).detect(QUADS)
    assert_same(capped, list(zip(every.scores.tolist(), every.polygons, strict=True))[:2])


@pytest.mark.parametrize("thresholds", [QUADS, POLYGONS], ids=["quads", "polygons"])
def test_detections_are_clipped_to_the_image(thresholds):
    letterbox = Letterbox(192, 96, SIZE)  # the canvas's rows 24..72
    prob_map = word_map((0, 22, 30, 40, 0.9), (60, 60, 96, 72, 0.9))
    bare = MapDetector(prob_map, letterbox, clip=False).detect(thresholds)
    clipped = MapDetector(prob_map, letterbox).detect(thresholds)
    assert len(bare) == len(clipped) == 2
    assert min(polygon.min() for polygon in bare.polygons) < 0
    for before, after in zip(bare.polygons, clipped.polygons, strict=True):
        assert np.array_equal(after, np.clip(before, 0, [192, 96]))


def test_what_lies_in_the_padding_alone_is_dropped():
    letterbox = Letterbox(192, 96, SIZE, "topleft")  # the canvas's rows 0..48
    prob_map = word_map((10, 10, 60, 20, 0.9), (10, 70, 60, 80, 0.9))
    assert len(MapDetector(prob_map, letterbox, clip=False).detect(QUADS)) == 2
    (polygon,) = MapDetector(prob_map, letterbox).detect(QUADS).polygons
    assert polygon[:, 1].max() < 60


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("thresholds", [QUADS, POLYGONS], ids=["quads", "polygons"])
def test_empty_and_full_maps(value, thresholds):
    detections = MapDetector(np.full((SIZE, SIZE), value, np.float16), SQUARE).detect(thresholds)
    assert len(detections) == value
    assert detections.scores.shape == (int(value),)


def test_an_image_of_one_pixel():
    full = MapDetector(np.ones((SIZE, SIZE), np.float16), Letterbox(1, 1, SIZE))
    (polygon,) = full.detect(QUADS).polygons
    assert polygon.tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]


def test_a_map_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"expected a map of 96 x 96, got \(96, 64\)"):
        MapDetector(np.zeros((96, 64), np.float32), SQUARE)


def test_the_map_stays_as_it_is():
    prob_map = blobs(np.random.default_rng(1))
    prob_map.flags.writeable = False
    detector = MapDetector(prob_map, SQUARE)
    first = detector.detect(QUADS)
    detector.detect(POLYGONS)
    assert_same(detector.detect(QUADS), list(zip(first.scores.tolist(), first.polygons, strict=True)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_peak_is_the_highest_value(dtype):
    prob_map = np.full((SIZE, SIZE), -0.0, dtype)
    assert MapDetector(prob_map, SQUARE).peak == 0
    prob_map[3, 5], prob_map[3, 6] = 0.0478, 0.75
    detector = MapDetector(prob_map, SQUARE)
    assert detector.peak == prob_map.max() == 0.75
    assert "prob_map" not in vars(detector), "no float32 map is made for it"


def test_what_is_forgotten_is_freed_and_found_again():
    prob_map = np.zeros((SIZE, SIZE), np.float16)
    prob_map[10:30, 10:60] = 0.8
    detector = MapDetector(prob_map, SQUARE)
    before = detector.detect(QUADS)
    made = weakref.ref(detector.prob_map)
    detector.forget()
    assert made() is None
    after = detector.detect(QUADS)
    assert len(after) == 1
    np.testing.assert_array_equal(after.polygons, before.polygons)
    np.testing.assert_array_equal(after.scores, before.scores)
