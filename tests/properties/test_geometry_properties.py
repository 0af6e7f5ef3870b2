"""What holds for any polygon and any letterbox."""

from __future__ import annotations

import numpy as np
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from optdet.geometry.letterbox import Letterbox
from optdet.geometry.offset import offset_polygon
from optdet.geometry.polygons import area, clip_to_frame, perimeter, signed_area

GEOMETRY = settings(deadline=None, max_examples=100)
quads_of_eighths = arrays(np.float64, (4, 2), elements=st.integers(-8000, 8000).map(lambda value: value / 8))
whole_polygons = st.integers(3, 8).flatmap(
    lambda n: arrays(np.float64, (n, 2), elements=st.integers(-40, 90).map(float))
)
letterboxes = st.builds(
    Letterbox,
    st.integers(1, 5000),
    st.integers(1, 5000),
    st.sampled_from([64, 320, 640, 1024]),
    st.sampled_from(["center", "topleft"]),
)


@GEOMETRY
@given(letterboxes, arrays(np.float64, (5, 2), elements=st.floats(0, 1)))
def test_a_letterbox_leads_there_and_back(box, shares):
    points = shares * (box.width, box.height)
    on_canvas = box.to_canvas(points)
    np.testing.assert_allclose(box.to_image(on_canvas), points, atol=1e-9)
    assert (on_canvas >= (box.left, box.top)).all()
    assert (on_canvas <= np.array([box.left + box.inner_width, box.top + box.inner_height]) + 1e-9).all()


@GEOMETRY
@given(letterboxes)
def test_an_image_fits_its_canvas(box):
    assert max(box.inner_width, box.inner_height) == box.size
    assert min(box.inner_width, box.inner_height) >= 1
    left, right = box.left, box.size - box.left - box.inner_width
    top, bottom = box.top, box.size - box.top - box.inner_height
    assert min(left, right, top, bottom) == 0
    if box.pad == "center":
        assert 0 <= right - left <= 1
        assert 0 <= bottom - top <= 1
    else:
        assert left == top == 0


@GEOMETRY
@given(whole_polygons)
def test_measures_agree_with_shapely(polygon):
    shape = shapely.Polygon(polygon)
    assert np.isclose(perimeter(polygon), shape.length)
    assert np.isclose(signed_area(polygon[::-1]), -signed_area(polygon))
    if shape.is_valid:
        assert np.isclose(area(polygon), shape.area)


@GEOMETRY
@given(whole_polygons)
def test_clipping_is_the_intersection_with_the_frame(polygon):
    whole = shapely.Polygon(polygon)
    assume(whole.is_valid and whole.area > 0)
    polygon.flags.writeable = False
    cut = clip_to_frame(polygon, 50, 30)
    expected = shapely.intersection(whole, shapely.box(0, 0, 50, 30))
    if cut is None:
        assert expected.area == 0
        return
    assert cut.min() >= 0
    assert (cut.max(axis=0) <= (50, 30)).all()
    assert np.sign(signed_area(cut)) == np.sign(signed_area(polygon))
    parts = shapely.get_parts(expected)
    assert np.isclose(area(cut), shapely.area(parts).max())
    again = clip_to_frame(cut, 50, 30)
    assert again is cut


def around(quad):
    """The corners by their angle around the middle, so that no sides cross."""
    offset = quad - quad.mean(axis=0)
    return quad[np.argsort(np.arctan2(offset[:, 1], offset[:, 0]), kind="stable")]


@GEOMETRY
@given(quads_of_eighths.filter(lambda quad: area(around(quad)) > 50), st.floats(1, 20))
def test_growing_contains_and_shrinking_is_contained(quad, distance):
    polygon = around(quad)
    whole = shapely.Polygon(polygon)
    # Clipper rounds to integers: two pixels of doubt.
    for part in offset_polygon(polygon, -distance):
        assert whole.buffer(2).contains(shapely.Polygon(part).buffer(0))
    for part in offset_polygon(polygon, distance):
        assert shapely.Polygon(part).buffer(2).contains(whole)
