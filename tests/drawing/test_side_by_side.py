"""Two pictures next to each other."""

from __future__ import annotations

import numpy as np

from optdet.drawing.side_by_side import side_by_side


def test_both_are_whole_and_aligned_at_the_top():
    left, right = np.full((20, 30, 3), 10, np.uint8), np.full((25, 40, 3), 90, np.uint8)
    joined = side_by_side(left, right)
    assert joined.shape[0] == 25
    assert (joined[:20, :30] == 10).all()
    assert (joined[:, -40:] == 90).all()
    between = joined[:, 30:-40]
    assert between.size
    assert (between == 255).all()
    assert (joined[20:, :30] == 255).all()
