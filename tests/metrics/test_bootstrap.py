"""Percentile bootstrap over images."""

from __future__ import annotations

import numpy as np
import pytest

from optdet.metrics import bootstrap
from optdet.metrics.bootstrap import (
    bootstrap_interval,
    paired_difference,
    paired_difference_of_sums,
    share_intervals,
)


def test_interval_is_that_of_the_mean():
    scores = np.random.default_rng(1).normal(0.9, 0.05, 400)
    low, high = bootstrap_interval(scores)
    half = 1.96 * scores.std() / 20
    assert low == pytest.approx(scores.mean() - half, abs=half * 0.1)
    assert high == pytest.approx(scores.mean() + half, abs=half * 0.1)


def test_equal_scores_have_no_spread():
    assert bootstrap_interval([0.5] * 10) == (0.5, 0.5)
    assert bootstrap_interval([0.25]) == (0.25, 0.25)


def test_seed_decides():
    scores = np.linspace(0, 1, 30)
    assert bootstrap_interval(scores, seed=3) == bootstrap_interval(scores, seed=3)
    assert bootstrap_interval(scores, seed=3) != bootstrap_interval(scores, seed=4)


def test_a_higher_level_is_wider():
    scores = np.linspace(0, 1, 30)
    (low, high), (lower, higher) = (
        bootstrap_interval(scores, level=0.8),
        bootstrap_interval(scores, level=0.99),
    )
    assert lower < low < high < higher


def test_every_resample_is_drawn_when_the_memory_bound_splits_them(monkeypatch):
    monkeypatch.setattr(bootstrap, "DRAWS_AT_ONCE", 70)
    low, high = bootstrap_interval(np.linspace(0, 1, 30), n_resamples=101)
    assert 0.3 < low < 0.5 < high < 0.7


def test_paired_difference_sees_what_unpaired_intervals_hide():
    hard = np.random.default_rng(0).uniform(0, 1, 50)
    result = paired_difference(hard + 0.01, hard)
    assert result.mean == pytest.approx(0.01)
    assert result.low == pytest.approx(0.01)
    assert result.p_positive == 1
    assert paired_difference(hard, hard + 0.01).p_positive == 0


def test_no_difference():
    same = paired_difference([0.1, 0.9], [0.1, 0.9])
    assert (same.mean, same.standard_error, same.low, same.high, same.p_positive) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "at least one image"),
        (([[0.1]],), r"got shape \(1, 1\)"),
        (([0.1, float("nan")],), "per_image 1: a score must be a finite number"),
        (([0.1], 0), "n_resamples must be at least 1"),
        (([0.1], 10, 0, 1.0), "level must lie between 0 and 1"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(*arguments)


def test_pairs_must_match():
    with pytest.raises(ValueError, match="the same images, got 2 and 1 values"):
        paired_difference([0.1, 0.2], [0.1])


def test_inputs_stay_unchanged():
    scores = np.array([0.3, 0.1, 0.2])
    paired_difference(scores, scores)
    bootstrap_interval(scores)
    assert scores.tolist() == [0.3, 0.1, 0.2]


def ratio(sums):
    return sums[:, 0] / sums[:, 1]


def test_sums_are_resampled_before_the_formula_and_not_the_images_scores():
    random = np.random.default_rng(0)
    counts = random.integers(1, 100, (40, 2))
    better = counts + np.array([5, 0])
    result = paired_difference_of_sums(better, counts, ratio)
    draws = np.random.default_rng(0).integers(0, 40, (2000, 40))

    def difference(draw):
        sums = np.stack([better[draw].sum(axis=0), counts[draw].sum(axis=0)])
        return float(ratio(sums) @ [1, -1])

    assert result.mean == pytest.approx(difference(np.arange(40)))
    bounds = np.quantile([difference(draw) for draw in draws], [0.025, 0.975])
    assert (result.low, result.high) == pytest.approx(tuple(bounds))
    assert result.p_positive == 1


def test_the_standard_error_is_that_of_the_paired_difference():
    random = np.random.default_rng(5)
    hard = random.normal(0.9, 0.1, 400)  # what is hard for both widens neither
    result = paired_difference(hard + random.normal(0.01, 0.02, 400), hard)
    assert result.standard_error == pytest.approx(0.02 / 20, rel=0.1)
    assert paired_difference([0.3] * 7, [0.1] * 7).standard_error == 0
    counts = random.integers(1, 100, (400, 1))
    of_sums = paired_difference_of_sums(counts, 0 * counts, lambda sums: sums[:, 0])
    assert of_sums.standard_error == pytest.approx(counts.std() * 20, rel=0.1)


def test_sums_do_not_hang_on_the_memory_bound(monkeypatch):
    counts = np.random.default_rng(1).integers(1, 100, (30, 2))
    before = paired_difference_of_sums(counts[::-1], counts, lambda sums: sums[:, 0], n_resamples=101)
    assert before.low < before.mean == 0 < before.high
    monkeypatch.setattr(bootstrap, "DRAWS_AT_ONCE", 70)
    again = paired_difference_of_sums(counts[::-1], counts, lambda sums: sums[:, 0], n_resamples=101)
    assert again == before


def test_counts_must_match():
    with pytest.raises(ValueError, match=r"the same images, got shapes \(2, 2\) and \(1, 2\)"):
        paired_difference_of_sums([[1, 2], [3, 4]], [[1, 2]], ratio)
    with pytest.raises(ValueError, match=r"counts \(n, k\) of at least one image, got shape \(2,\)"):
        paired_difference_of_sums([1, 2], [[1, 2]], ratio)
    with pytest.raises(ValueError, match="b: a count must be a finite number"):
        paired_difference_of_sums([[1, 2]], [[1, float("nan")]], ratio)


def test_intervals_of_shares_are_those_of_resampled_sums():
    random = np.random.default_rng(2)
    wholes = random.integers(1, 20, (30, 3)).astype(float)
    parts = np.floor(wholes * random.random((30, 3)))
    wholes[:, 2] = parts[:, 2] = 0
    first, second, nothing = share_intervals(parts, wholes)
    assert nothing is None
    for column, (low, high) in enumerate((first, second)):
        assert low < parts[:, column].sum() / wholes[:, column].sum() < high
    assert share_intervals(parts[:, :1], wholes[:, :1]) == [first]
    assert share_intervals(wholes[:, :1], wholes[:, :1]) == [(1.0, 1.0)]


def test_draws_without_any_of_a_whole_are_left_out():
    wholes = np.zeros((40, 1))
    wholes[0] = 4
    assert share_intervals(wholes / 2, wholes) == [(0.5, 0.5)]
    with pytest.raises(ValueError, match="the same images"):
        share_intervals(np.zeros((2, 1)), np.zeros((3, 1)))
