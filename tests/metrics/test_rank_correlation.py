"""Rank correlation, by hand, and where it is not defined."""

from __future__ import annotations

import pytest

from optdet.metrics.rank_correlation import RankCorrelation, rank_correlation


def test_by_hand():
    same = rank_correlation([0.1, 0.2, 0.3], [1, 5, 6])
    assert (same.n, same.spearman, same.kendall) == (3, pytest.approx(1), pytest.approx(1))
    # One pair of six is the other way round; the sum of squared rank differences is 2.
    found = rank_correlation([1, 2, 3, 4], [1, 3, 2, 4])
    assert found.spearman == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert found.kendall == pytest.approx(4 / 6)


@pytest.mark.parametrize(
    ("a", "b"), [([], []), ([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [5, 5, 5])]
)
def test_not_defined(a, b, recwarn):
    assert rank_correlation(a, b) == RankCorrelation(len(a), None, None)
    assert not recwarn.list


def test_of_different_things():
    with pytest.raises(ValueError, match="got 2 and 1"):
        rank_correlation([1, 2], [1])
