"""Which polygons of one list overlap."""

from __future__ import annotations

import numpy as np
import pytest

from optdet.metrics.iou import iou_matrix
from optdet.metrics.overlaps import find_own_overlaps


def box(x, y, width=40, height=10):
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])


ARROW = np.array([[0, 0], [40, 5], [0, 10], [10, 5]])  # not convex
BOW_TIE = np.array([[0, 0], [40, 10], [40, 0], [0, 10]])  # crosses itself


def random_polygons(n, seed=0):
    rng = np.random.default_rng(seed)
    polygons = []
    for _ in range(n):
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 9)))
        radii = rng.uniform(5, 30, len(angles))
        around = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]
        polygons.append(np.round(around + rng.uniform(0, 120, 2)))
    return polygons


@pytest.mark.parametrize("min_iou", [0.05, 0.3, 0.5])
def test_the_matrix_of_ious_says_the_same(min_iou):
    polygons = [*random_polygons(80), ARROW, BOW_TIE, box(2, 0), box(2, 0)]
    found = find_own_overlaps(polygons, min_iou)
    expected = np.triu(iou_matrix(polygons, polygons), k=1)
    rows, columns = np.nonzero(np.round(expected, 9) >= min_iou)
    assert len(rows) > 5
    np.testing.assert_array_equal(found.pairs, np.stack([rows, columns], axis=1))
    np.testing.assert_allclose(found.ious, expected[rows, columns], atol=1e-9, rtol=0)


def test_an_iou_that_is_the_limit_counts_wherever_the_two_lie():
    for x in (0, 0.1, 1 / 3, 4096.7):
        found = find_own_overlaps([box(x, x, 100, 10), box(x, x, 50, 10)], 0.5)
        assert found.ious.tolist() == [0.5]


def test_copies_overlap_whole_and_what_has_no_area_not_at_all():
    flat = np.array([[0, 0], [10, 0], [20, 0]])
    found = find_own_overlaps([box(0, 0), flat, box(0, 0), flat], 0.1)
    assert found.pairs.tolist() == [[0, 2]]
    assert found.ious.tolist() == [1.0]
    assert len(find_own_overlaps([], 0.5).pairs) == len(find_own_overlaps([box(0, 0)], 0.5).pairs) == 0


def test_what_is_no_polygon():
    with pytest.raises(ValueError, match="polygon 1: a polygon needs at least 3 points, got 2"):
        find_own_overlaps([box(0, 0), box(0, 0)[:2]], 0.5)
