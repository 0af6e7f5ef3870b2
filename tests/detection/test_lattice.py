"""Candidates of a whole lattice, those that the detector measures one at a time."""

from __future__ import annotations

import warnings

import cv2
import numpy as np
import pytest

from optdet.detection import exactness, lattice
from optdet.detection.candidates import expand, find_contours, in_image, polygon_candidate, quad_candidate
from optdet.detection.compiled_quads import expand_all
from optdet.detection.lattice import find_candidates
from optdet.geometry.letterbox import Letterbox
from optdet.geometry.raster import mean_inside

SIZE = 64
THRESHOLDS = [0.3, 0.45, 0.5, 0.7]
RATIOS = [0.2, 1.0, 1.7]


def some_map(seed):
    rng = np.random.default_rng(seed)
    prob_map = cv2.GaussianBlur(rng.random((SIZE, SIZE)), (0, 0), rng.uniform(0.6, 2.5))
    return np.clip(0.5 + (prob_map - 0.5) * 3, 0, 1).astype(np.float16)


def check(prob_map, letterbox, *, use_polygon, min_side):
    """Every contour at every threshold: a candidate or not, its score, its polygon at every ratio."""
    found = find_candidates(
        prob_map, letterbox, THRESHOLDS, RATIOS, use_polygon=use_polygon, min_side=min_side
    )
    values = prob_map.astype(np.float32)
    n_polygons = 0
    for k, thresh in enumerate(THRESHOLDS):
        contours = find_contours(values, thresh)
        shapes = found.shapes[found.starts[k] : found.starts[k + 1]]
        assert len(shapes) == len(contours)
        for contour, shape in zip(contours, shapes, strict=True):
            candidate = polygon_candidate(contour) if use_polygon else quad_candidate(contour)
            small = candidate is None or candidate.short_side < min_side
            if shape >= 0:
                assert not small
                assert found.scores[shape] == mean_inside(values, candidate.shape)
            for u, ratio in enumerate(RATIOS):
                grown = None
                if not small:
                    grown = expand(candidate.shape, ratio, use_polygon=use_polygon, min_side=min_side)
                polygon = None if grown is None else in_image(grown, letterbox)
                index = found.polygon_of[u, shape] if shape >= 0 else -1
                assert (polygon is None) == (index < 0)
                if polygon is not None:
                    assert np.array_equal(found.polygon(index), polygon)
                    n_polygons += 1
    return n_polygons


@pytest.mark.parametrize("use_polygon", [False, True], ids=["quads", "polygons"])
@pytest.mark.parametrize("min_side", [0.0, 3.0])
@pytest.mark.parametrize("pad", ["center", "topleft"])
def test_candidates_are_those_that_are_measured_one_at_a_time(use_polygon, min_side, pad):
    letterboxes = (
        Letterbox(SIZE, SIZE, SIZE, pad),
        Letterbox(300, 170, SIZE, pad),
        Letterbox(20, 33, SIZE, pad),
    )
    n_polygons = sum(
        check(some_map(seed), letterbox, use_polygon=use_polygon, min_side=min_side)
        for seed, letterbox in enumerate(letterboxes)
    )
    assert n_polygons > 100


def test_no_contours():
    letterbox = Letterbox(SIZE, SIZE, SIZE)
    for use_polygon in (False, True):
        empty = find_candidates(
            np.zeros((SIZE, SIZE), np.float16), letterbox, [0.5], [1.5], use_polygon=use_polygon, min_side=3
        )
        assert (len(empty.shapes), len(empty.scores), empty.n_polygons) == (0, 0, 0)


def test_a_side_is_compared_in_full_precision():
    # The side of a turned square, as a float32: a limit between it and the next float32 leaves it out.
    prob_map = np.zeros((SIZE, SIZE), np.float16)
    for row in range(-6, 7):
        prob_map[30 + row, 30 - (6 - abs(row)) : 31 + (6 - abs(row))] = 1
    (contour,) = find_contours(prob_map.astype(np.float32), 0.5)
    side = quad_candidate(contour).short_side
    assert side % 1
    letterbox = Letterbox(SIZE, SIZE, SIZE)
    for limit, kept in ((side, True), (np.nextafter(side, 99), False)):
        found = find_candidates(prob_map, letterbox, [0.5], [1.5], use_polygon=False, min_side=float(limit))
        assert found.shapes.tolist() == [0 if kept else -1]


@pytest.mark.parametrize("use_polygon", [False, True], ids=["quads", "polygons"])
def test_without_compiled_loops_the_same_is_found(use_polygon, monkeypatch):
    letterbox = Letterbox(300, 170, SIZE)
    monkeypatch.setattr(lattice, "compiled_is_exact", lambda: False)
    for name in ("trace_contours", "rectangles", "mean_inside_quads"):
        monkeypatch.delattr(lattice, name)  # not even asked

    def wrong(*args):
        polygons, state = expand_all(*args)
        return polygons + 1, np.ones_like(state)

    monkeypatch.setattr(lattice, "expand_all", wrong)
    assert check(some_map(5), letterbox, use_polygon=use_polygon, min_side=3.0) > 30
    empty = np.zeros((SIZE, SIZE), np.float16)
    assert check(empty, letterbox, use_polygon=use_polygon, min_side=3.0) == 0


@pytest.fixture
def unknown_exactness():
    exactness.compiled_is_exact.cache_clear()
    yield
    exactness.compiled_is_exact.cache_clear()


@pytest.mark.usefixtures("unknown_exactness")
def test_the_installed_libraries_are_those_that_the_loops_follow():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert exactness.compiled_is_exact()


@pytest.mark.usefixtures("unknown_exactness")
@pytest.mark.parametrize("name", ["quad_candidate", "expand", "mean_inside", "find_contours"])
def test_a_library_that_differs_in_the_last_bit_is_noticed_and_said_once(name, monkeypatch):
    plain = getattr(exactness, name)

    def other(*args, **kwargs):
        result = plain(*args, **kwargs)
        if name == "mean_inside":
            return float(np.nextafter(result, 2))
        if name == "find_contours":
            return result[::-1]
        if name == "expand":
            return result if result is None else result + np.float32(0.02)
        return type(result)(np.nextafter(result.shape, np.float32(1e9)), result.short_side)

    monkeypatch.setattr(exactness, name, other)
    with pytest.warns(RuntimeWarning, match="do not follow OpenCV") as warned:
        answers = [exactness.compiled_is_exact() for _ in range(2)]
    assert answers == [False, False]
    assert len(warned) == 1
