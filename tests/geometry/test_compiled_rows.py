"""Distinct rows, by first occurrence."""

from __future__ import annotations

import numpy as np
import pytest

from optdet.geometry.compiled_rows import distinct_rows


@pytest.mark.parametrize("n_columns", [1, 2, 8])
@pytest.mark.parametrize("spread", [1, 2, 50, 2**31 - 1])
def test_as_numpy_unique(n_columns, spread):
    rng = np.random.default_rng(spread)
    rows = rng.integers(-spread, spread, (800, n_columns), dtype=np.int32)
    before = rows.copy()
    first, which = distinct_rows(rows)
    assert np.array_equal(rows[first][which], rows)
    assert (np.diff(first) > 0).all()
    assert sorted(first.tolist()) == sorted(np.unique(rows, axis=0, return_index=True)[1].tolist())
    assert np.array_equal(rows, before)


def test_no_rows():
    first, which = distinct_rows(np.zeros((0, 8), np.int32))
    assert (len(first), len(which)) == (0, 0)
