"""Whatever the outline: few points, all of them its own, no crossing, and never more than was asked for."""

from __future__ import annotations

import numpy as np
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from optdet.data.prediction_simplify import simplify_predictions
from optdet.geometry.simplify import simplified

patient = settings(deadline=None)
"""The first use of compiled code takes seconds."""


@st.composite
def stars(draw):
    """Outlines around a centre, whole numbers or not; rounding makes some of them touch themselves."""
    n = draw(st.integers(5, 40))
    radii = np.array(draw(st.lists(st.floats(3, 60), min_size=n, max_size=n)))
    angles = np.sort(np.array(draw(st.lists(st.floats(0, 6.28), min_size=n, max_size=n))))
    points = np.stack([80 + radii * np.cos(angles), 80 + radii * np.sin(angles)], axis=1)
    return np.round(points).astype(np.int32) if draw(st.booleans()) else points


@patient
@given(stars(), st.integers(4, 20))
@example(np.array([[83, 80], [83, 80], [83, 80], [84, 80], [81, 82]]), 4)
@example(np.array([[83, 80], [82, 83], [79, 83], [77, 80], [83, 80]], np.int32), 4)
def test_few_points_and_no_crossing(polygon, max_points):
    found = simplified(polygon, max_points)
    assert len(found) <= max(max_points, 4)
    if len(polygon) <= max_points:
        assert found is polygon
        return
    whole = shapely.Polygon(polygon)
    rows = [tuple(point) for point in polygon.tolist()]
    if shapely.is_valid(whole) and len(set(rows)) >= 4:  # a triangle gets a fourth point, on its longest side
        places = [rows.index(tuple(point)) for point in found.tolist()]
        first = places.index(min(places))  # the ring may begin elsewhere, where a point stands twice
        assert [*places[first:], *places[:first]] == sorted(places), "its own points, in their order"
    if shapely.make_valid(whole).area > 1e-6:
        assert shapely.is_valid(shapely.Polygon(found))
        assert shapely.Polygon(found).area > 0


@patient
@given(stars(), st.integers(4, 20))
def test_again_changes_nothing(polygon, max_points):
    once = simplified(polygon, max_points)
    assert simplified(once, max_points) is once


@patient
@given(st.lists(stars(), max_size=3), st.integers(4, 12))
def test_of_a_file_each_changed_polygon_has_an_iou(polygons, max_points):
    found = simplify_predictions({"a.jpg": polygons, "b.jpg": []}, max_points)
    assert len(found.ious) == sum(len(polygon) > max_points for polygon in polygons)
    assert ((found.ious >= 0) & (found.ious <= 1)).all()
