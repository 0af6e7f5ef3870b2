"""Fewer points: which go, and that what is left is the polygon's own and crosses nothing."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from optdet.geometry.simplify import simplified

OCTAGON = np.array([[10, 0], [30, 0], [40, 10], [40, 30], [30, 40], [10, 40], [0, 30], [0, 10]])


def is_simple(polygon):
    return shapely.is_valid(shapely.Polygon(polygon))


def test_a_polygon_with_few_points_is_itself():
    assert simplified(OCTAGON, 8) is OCTAGON
    bow_tie = np.array([[0, 0], [10, 10], [10, 0], [0, 10]])
    assert simplified(bow_tie, 4) is bow_tie


def test_the_smallest_triangle_goes_first_and_the_input_stays():
    bump = np.array([[0, 0], [20, 0], [40, 1], [60, 0], [60, 20], [30, 40], [0, 20]], dtype=np.int32)
    before = bump.copy()
    assert simplified(bump, 6).tolist() == [[0, 0], [40, 1], [60, 0], [60, 20], [30, 40], [0, 20]]
    five = simplified(bump, 5)
    assert five.tolist() == [[0, 0], [60, 0], [60, 20], [30, 40], [0, 20]]
    assert five.dtype == np.int32
    assert (bump == before).all()


def test_a_triangle_that_holds_another_point_does_not_go():
    """The smallest triangles are those of the walls: without their tips the outline would cross itself."""
    comb = np.array([[0, 0], [10, 0], [10, 30], [9, 30], [9, 2], [1, 2], [1, 30], [0, 30]])
    for n_points in (7, 6, 5, 4):
        assert is_simple(simplified(comb, n_points))


@pytest.mark.parametrize(
    "polygon",
    [
        [[0, 0], [40, 30], [40, 0], [0, 30], [0, 20], [0, 10]],  # crosses itself
        [[0, 0], [20, 0], [20, 20], [40, 20], [40, 40], [20, 40], [20, 20], [0, 20]],  # touches itself
        [[0, 0], [0, 0], [20, 0], [20, 20], [20, 20], [0, 20], [0, 20]],  # points twice
        [[0, 0], [40, 0], [40, 0], [0, 30], [0, 30], [0, 0]],  # a triangle, said longer
    ],
)
def test_what_is_not_simple_becomes_its_largest_part(polygon):
    found = simplified(np.array(polygon), 4)
    assert len(found) == 4
    assert is_simple(found)
    assert shapely.Polygon(found).area > 0


@pytest.mark.parametrize("polygon", [[[5, 5]] * 7, [[x, 2 * x] for x in range(9)], [[0, 0], [9, 0]] * 3])
def test_what_has_no_area_still_has_few_points(polygon):
    assert len(simplified(np.array(polygon), 4)) == 4


def test_fewer_than_four_points_are_refused():
    with pytest.raises(ValueError, match="at least 4, got 3"):
        simplified(OCTAGON, 3)
