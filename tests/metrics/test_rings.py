"""Even-odd regions, containment and areas of many polygons at once."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from optdet.metrics.rings import boxes_touch, points_inside, read_polygons, regions, shared_areas, stack_rings

SQUARE = [0, 0, 10, 0, 10, 10, 0, 10]
BOW_TIE = [0, 0, 10, 10, 10, 0, 0, 10]
TWICE_AROUND = SQUARE + SQUARE
KNOT = [0, 0, 10, 0, 10, 10, 4, 10, 4, 4, 6, 4, 6, 8, 0, 8]


def rings(*polygons):
    return stack_rings(read_polygons(polygons, "polygon"), "polygon")


@pytest.mark.parametrize(
    ("polygon", "area", "outline_area"),
    [
        pytest.param(SQUARE, 100, 100, id="square"),
        pytest.param(BOW_TIE, 50, 0, id="bow tie: the lobes' signs cancel in the outline"),
        pytest.param(TWICE_AROUND, 0, 200, id="twice around: outside everywhere"),
        pytest.param(KNOT, 84, 100, id="knot: its overlap is outside"),
        pytest.param([0, 0, 5, 5, 10, 10], 0, 0, id="line"),
        pytest.param([3, 3] * 4, 0, 0, id="point"),
    ],
)
def test_areas(polygon, area, outline_area):
    both = rings(polygon, SQUARE)
    shapes = regions(both)
    assert shapely.is_valid(shapes).all()
    assert shapely.area(shapes).tolist() == [area, 100]
    assert both.outline_areas().tolist() == [outline_area, 100]
    assert shared_areas(shapes, shapes[::-1]).tolist() == [area, area]


def test_points_on_the_boundary_belong_to_the_left_and_the_top():
    points = np.array([[0, 5], [10, 5], [5, 0], [5, 10], [5, 5], [11, 5]], dtype=float)
    ring, point = points_inside(points, rings(SQUARE))
    assert point.tolist() == [0, 2, 4]
    assert ring.tolist() == [0, 0, 0]


def test_pairs_are_sorted_by_ring_and_point():
    points = np.array([[5.0, 2.0], [2.0, 5.0], [50.0, 50.0]])
    ring, point = points_inside(points, rings(SQUARE, [100, 100, 110, 100, 100, 110], BOW_TIE, SQUARE))
    assert list(zip(ring.tolist(), point.tolist(), strict=True)) == [(0, 0), (0, 1), (2, 1), (3, 0), (3, 1)]


def test_a_point_is_outside_where_the_ring_winds_twice():
    assert not len(points_inside(np.array([[5.0, 5.0]]), rings(TWICE_AROUND))[0])


def test_boxes_that_share_a_corner_touch():
    boxes = rings(SQUARE, [10, 10, 20, 10, 20, 20], [11, 0, 20, 0, 20, 5]).boxes()
    assert boxes_touch(boxes[:1], boxes).tolist() == [[True, True, False]]


def test_no_polygons():
    empty = rings()
    assert len(empty) == len(regions(empty)) == len(empty.outline_areas()) == len(empty.boxes()) == 0
    assert not len(points_inside(np.array([[1.0, 1.0]]), empty)[0])
    assert not len(points_inside(np.zeros((0, 2)), rings(SQUARE))[0])


def test_truncation_goes_towards_zero():
    assert rings([-1.9, 1.9, 5, 5, 0, 9.5]).truncated().points.ravel().tolist() == [-1, 1, 5, 5, 0, 9]


def test_a_ring_of_points_that_are_on_one_line_but_for_their_last_digits_has_a_region():
    """GEOS gives up on its lines ("Iterated noding failed to converge")."""
    ring = np.array(
        [
            [77.03002251, 80.42336002],
            [77.03002251, 80.42336002],
            [76.04003001, 80.56448003],
            [76.19471634, 80.54243003],
            [75.54503377, 80.63504004],
        ]
    )
    (region,) = regions(stack_rings([ring], "polygon"))

    assert shapely.is_valid(region)
    assert 0 <= region.area < 1e-6


def test_a_ring_that_runs_back_along_itself_but_for_the_last_digits():
    """Where it meets itself has no end; it is laid on a grid."""
    along = [(80 + r * np.cos(2.0), 80 + r * np.sin(2.0)) for r in (3, 4, 5.5, 3.25, 9.25, 3)]
    shapes = regions(rings(np.array([(83, 80), *along])))
    assert shapely.is_valid(shapes).all()
    assert shapely.area(shapes) < 1e-3
