"""How nearly two sets of polygons are the same, by hand and by properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optdet.metrics.agreement import agreement


def box(x, y, width=20, height=10):
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])


def test_by_hand():
    assert agreement([], []) == 1
    assert agreement([box(0, 0)], []) == 0
    assert agreement([box(0, 0)], [box(0, 0)]) == 1
    assert agreement([box(0, 0)], [box(0, 0, 20, 8)]) == pytest.approx(0.8)
    assert agreement([box(0, 0)], [box(10, 0)]) == 0, "a third is shared: no pair"
    # Two pairs, one of them equal, and a polygon that only the first has.
    assert agreement([box(0, 0), box(0, 50), box(50, 0)], [box(0, 0), box(0, 50, 20, 9)]) == pytest.approx(
        2 * 1.9 / 5
    )


def test_a_polygon_has_one_partner_and_the_best_sum_counts():
    wide, narrow = box(0, 0, 20, 10), box(0, 0, 20, 9)
    assert agreement([wide], [narrow, box(0, 0, 20, 11)]) == pytest.approx(2 * (10 / 11) / 3)
    crossed = agreement([box(0, 0, 20, 10), box(0, 0, 20, 12)], [box(0, 0, 20, 13), box(0, 0, 20, 11)])
    assert crossed == pytest.approx((10 / 11 + 12 / 13) / 2)


def test_outlines_that_are_not_convex_are_measured_too():
    angle = np.array([[0, 0], [20, 0], [20, 10], [10, 10], [10, 30], [0, 30]])
    assert agreement([angle], [angle + 0.0]) == 1
    assert agreement([angle], [angle[[0, 1, 2, 3, 4, 4, 5]]]) == pytest.approx(1)
    assert agreement([angle], [angle + np.array([0, 2])]) == pytest.approx(360 / 440)


BOXES = st.lists(
    st.builds(box, st.integers(0, 40), st.integers(0, 40), st.integers(1, 30), st.integers(1, 30)), max_size=6
)


@settings(deadline=None)  # the first use of compiled code takes seconds
@given(BOXES, BOXES)
def test_either_may_come_first_and_order_does_not_matter(a, b):
    value = agreement(a, b)
    assert 0 <= value <= 1
    assert agreement(b, a) == pytest.approx(value, abs=1e-12)
    assert agreement(a[::-1], b) == pytest.approx(value, abs=1e-12)
    assert agreement(a, a[::-1]) == 1


def test_at_exactly_one_half_either_may_come_first_too():
    one = [np.array([[69.0, 21], [84, 21], [84, 23], [69, 23]])]
    other = [np.array([[71.0, 20], [84, 20], [82, 23], [70, 24]])]
    assert agreement(one, other) == agreement(other, one) == 0
