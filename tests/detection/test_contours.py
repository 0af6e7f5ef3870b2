"""Contours of all thresholds at once, those that OpenCV finds at each."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from optdet.detection.candidates import find_contours
from optdet.detection.contours import MAX_LEVELS, trace_contours


def noise(rng, shape):
    return rng.random(shape)


def few_values(rng, shape):
    return rng.integers(0, rng.choice([2, 3, 6]), shape) / 5


def smooth(rng, shape):
    return cv2.GaussianBlur(rng.random(shape), (0, 0), rng.uniform(0.5, 3))


def islands(rng, shape):
    return (rng.random(shape) < rng.uniform(0.1, 0.95)) * rng.random(shape)


def check(prob_map, thresholds):
    lattice = trace_contours(prob_map, thresholds)
    assert len(lattice.starts) == len(thresholds) + 1
    for k, thresh in enumerate(thresholds):
        expected = find_contours(prob_map.astype(np.float32), thresh)
        got = [lattice.outline(i) for i in lattice.contours[lattice.starts[k] : lattice.starts[k + 1]]]
        assert len(got) == len(expected)
        assert all(np.array_equal(a, b.reshape(-1, 2)) for a, b in zip(got, expected, strict=True))
    return lattice


@pytest.mark.parametrize("make", [noise, few_values, smooth, islands])
def test_contours_and_their_order_are_opencv_s(make):
    rng = np.random.default_rng(0)
    for _ in range(150):
        shape = tuple(rng.integers(1, rng.choice([4, 9, 20, 70]), 2))
        n = rng.integers(1, rng.choice([3, 20]))
        thresholds = np.unique(rng.uniform(0, 1, n).round(rng.choice([1, 2, 6])))
        check(make(rng, shape).astype(np.float16), thresholds.tolist())


def test_as_many_thresholds_as_there_may_be():
    prob_map = smooth(np.random.default_rng(1), (60, 60)).astype(np.float16)
    check(prob_map, np.linspace(0.2, 0.8, MAX_LEVELS).tolist())


def test_a_value_equal_to_a_threshold_is_background():
    # Of the thresholds only 0.25 and 0.5 are float16 numbers.
    prob_map = np.full((6, 6), 0.5, np.float16)
    prob_map[2, 2] = 0.25
    lattice = check(prob_map, [0.1, 0.25, 0.3, 0.5])
    assert np.diff(lattice.starts).tolist() == [1, 2, 2, 0]


@pytest.mark.parametrize("value", [0, 1])
def test_a_flat_map(value):
    lattice = check(np.full((8, 5), value, np.float16), [0.2, 0.9])
    assert lattice.n_distinct == value


def test_not_a_number_is_background():
    prob_map = np.full((6, 6), np.nan, np.float16)
    prob_map[1:4, 1:4] = 1
    assert check(prob_map, [0.0, 0.5]).n_distinct == 1


def test_a_border_longer_than_the_first_buffers():
    comb = np.zeros((200, 200), np.float16)
    comb[::2], comb[:, 0] = 1, 1
    lattice = check(comb, [0.5])
    assert lattice.n_distinct == 1


def test_contours_that_persist_are_stored_once():
    prob_map = np.zeros((20, 20), np.float16)
    prob_map[5:15, 5:15] = 0.9
    lattice = check(prob_map, [0.1, 0.3, 0.5, 0.7])
    assert lattice.contours.tolist() == [0, 0, 0, 0]


def test_the_map_stays_unchanged():
    prob_map = noise(np.random.default_rng(2), (20, 20)).astype(np.float16)
    prob_map.flags.writeable = False
    check(prob_map, [0.3, 0.6])


@pytest.mark.parametrize("thresholds", [[], [0.5, 0.5], [0.5, 0.2], np.linspace(0, 1, 256).tolist()])
def test_thresholds_that_it_does_not_take(thresholds):
    with pytest.raises(ValueError, match="expected 1 to 255 ascending thresholds"):
        trace_contours(np.zeros((4, 4), np.float16), thresholds)


def test_another_type_of_map():
    with pytest.raises(ValueError, match="expected a float16 map, got float32"):
        trace_contours(np.zeros((4, 4), np.float32), [0.5])
