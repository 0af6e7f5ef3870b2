"""Growing and shrinking."""

from __future__ import annotations

import numpy as np
import pytest

from optdet.geometry.offset import offset_polygon, shrink_distance, unclip_distance
from optdet.geometry.polygons import area

WORD = np.array([[10.0, 10], [110, 10], [110, 30], [10, 30]])


def test_distances():
    # A = 2000, L = 240
    assert shrink_distance(WORD, 0.4) == pytest.approx(2000 * 0.84 / 240)
    assert unclip_distance(WORD, 1.5) == pytest.approx(12.5)
    assert unclip_distance(WORD[::-1], 1.5) == unclip_distance(WORD, 1.5)


@pytest.mark.parametrize("polygon", [[[5, 5]] * 4, [[0, 0], [9, 0], [9, 0], [0, 0]]])
def test_what_has_no_area_has_no_distance(polygon):
    assert shrink_distance(polygon, 0.4) == 0
    assert unclip_distance(polygon, 1.5) == 0


def test_inwards_and_outwards():
    (inner,) = offset_polygon(WORD, -5)
    assert sorted(inner.tolist()) == [[15, 15], [15, 25], [105, 15], [105, 25]]
    (outer,) = offset_polygon(WORD, 5)
    assert outer.dtype == np.int32
    assert (outer.min(axis=0).tolist(), outer.max(axis=0).tolist()) == ([5, 5], [115, 35])
    # Round joins: four quarter circles at the corners.
    assert area(outer) == pytest.approx(2000 + 240 * 5 + np.pi * 25, rel=0.01)


def test_the_turning_direction_does_not_matter():
    (outer,) = offset_polygon(WORD[::-1], 5)
    assert area(outer) == area(offset_polygon(WORD, 5)[0])


def test_coordinates_are_cut_towards_zero():
    moved = WORD + 0.9
    (outer,) = offset_polygon(moved, 5)
    assert np.array_equal(outer, offset_polygon(WORD, 5)[0])
    (around_zero,) = offset_polygon(np.array([[-0.9, -0.9], [10, -0.9], [10, 10], [-0.9, 10]]), 1)
    assert around_zero.min() == -1


def test_what_vanishes_or_falls_apart():
    assert offset_polygon(WORD, -10) == []
    dumbbell = [[0, 0], [20, 0], [20, 9], [40, 9], [40, 0], [60, 0], [60, 20], [40, 20], [40, 11], [20, 11]]
    assert len(offset_polygon([*dumbbell, [20, 20], [0, 20]], -3)) == 2


@pytest.mark.parametrize(
    "polygon",
    [
        [[5, 5]] * 4,
        [[5.1, 5.2], [5.3, 5.4], [5.5, 5.6]],
        [[0, 0], [9, 0]],
        np.zeros((0, 2)),
        [[0, 0], [9, 0], [4, 0]],
    ],
    ids=["point", "one pixel", "two points", "none", "line"],
)
@pytest.mark.parametrize("distance", [0, 0.4, 5, -5])
def test_degenerate_polygons_do_not_raise(polygon, distance):
    for part in offset_polygon(polygon, distance):
        assert part.shape[1] == 2
        assert len(part) >= 3


def test_the_input_stays():
    before = WORD.copy()
    offset_polygon(WORD, 3)
    assert np.array_equal(WORD, before)
