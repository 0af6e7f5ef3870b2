"""The colours of a heat map: the top in sight, whatever lies at the bottom."""

from __future__ import annotations

import numpy as np
import pytest

from optdet.drawing.scale import top_scale


def test_a_collapsed_corner_is_below_the_scale() -> None:
    scale = top_scale([0.9, 0.89, 0.88, 0.87, 0.0])
    assert (scale.vmin, scale.vmax) == pytest.approx((0.82, 0.9))


def test_the_depth_bounds_it_and_equal_values_have_a_scale() -> None:
    values = np.linspace(0.5, 0.9, 50)
    assert top_scale(values, depth=0.02).vmin == pytest.approx(0.88)
    assert top_scale([0.7, 0.7]).vmin == pytest.approx(0.699)
