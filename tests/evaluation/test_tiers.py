"""Candidates that the images cannot tell apart are in one tier; those that they can are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optdet.evaluation.tiers import Candidate, is_worse, tiers


def candidate(name, hmeans, value=None):
    return Candidate(name, float(np.mean(hmeans)) if value is None else value, dict(enumerate(hmeans)))


NOISE = np.random.default_rng(0).normal(0, 0.02, (3, 60))
BASE = np.random.default_rng(1).uniform(0.8, 1.0, 60)


def names(found):
    return [{member.name for member in tier.members} for tier in found]


def test_a_difference_within_the_noise_makes_one_tier():
    found = tiers([candidate("a", BASE + NOISE[0]), candidate("b", BASE + NOISE[1]), candidate("c", BASE)])
    assert names(found) == [{"a", "b", "c"}]
    values = [member.value for member in found[0].members]
    assert values == sorted(values, reverse=True)
    assert found[0].n_images == 60


def test_images_that_are_hard_for_both_hide_no_difference():
    """Unpaired, the spread of the images would drown it."""
    worse = candidate("worse", BASE - 0.003 + NOISE[0] / 20)
    best = candidate("best", BASE)
    assert is_worse(worse, best)
    assert names(tiers([worse, best])) == [{"best"}, {"worse"}]


def test_a_tier_holds_everything_that_is_not_surely_worse_than_its_best():
    rough = BASE - 0.004
    rough[:3] += 0.15  # as good as the best on a few images, so that nothing is sure
    found = tiers(
        [candidate("best", BASE), candidate("surely", BASE - 0.002), candidate("rough", rough, 0.5)]
    )
    assert names(found) == [{"best", "rough"}, {"surely"}]


def test_a_cross_fitted_value_moves_the_middle():
    """The difference of the H-means is sure; what is left of it across images is none."""
    lucky, plain = candidate("lucky", BASE + 0.002, 0.9), candidate("plain", BASE, 0.9)
    assert not is_worse(plain, lucky)
    assert is_worse(candidate("plain", BASE, 0.898), lucky)


def test_equal_on_every_image_is_told_apart_by_no_value():
    assert not is_worse(candidate("a", BASE, 0.9), candidate("b", BASE, 0.9 + 1e-9))


def test_a_cross_fitted_value_and_another_are_never_put_in_an_order():
    """What was chosen on the images that it is scored on looks better than it is."""
    crossfit = [replace(candidate(f"c{n}", BASE - n / 100), is_crossfit=True) for n in range(2)]
    plain = [candidate(f"p{n}", BASE + 0.2 - n / 100) for n in range(3)]
    for one in crossfit:
        for other in plain:
            assert not is_worse(one, other)
            assert not is_worse(other, one)
    found = tiers([*plain, *crossfit])
    assert [[member.name for member in tier.members] for tier in found] == [
        ["c0", "p0"],
        ["c1", "p1"],
        ["p2"],
    ]
    assert [(tier.n_crossfit, tier.n_images) for tier in found] == [(1, None), (1, None), (0, None)]


@pytest.mark.parametrize("n", [0, 1, 5])
def test_too_few_images_tell_nothing_apart(n):
    found = tiers([candidate("a", BASE[:n], 0.9), candidate("b", BASE[:n] - 0.1, 0.8)])
    assert names(found) == [{"a", "b"}]
    assert found[0].n_images == n
    assert is_worse(candidate("b", BASE[:6] - 0.1), candidate("a", BASE[:6]))


def test_only_common_images_count():
    other = Candidate("other", 0.5, {number + 100: 0.5 for number in range(60)})
    found = tiers([candidate("a", BASE), other])
    assert names(found) == [{"a", "other"}]
    assert found[0].n_images == 0
    assert tiers([]) == []
    assert tiers([other])[0].n_images is None
