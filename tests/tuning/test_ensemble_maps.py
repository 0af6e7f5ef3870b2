"""The search for weights."""

from __future__ import annotations

import pytest

from optdet.tuning.ensemble_maps import search_weights


def test_the_search_climbs_to_the_top_and_says_weights_in_their_smallest_numbers():
    target = (2, 1, 0)

    def score(weights):
        shares = [weight / sum(weights) for weight in weights]
        wanted = [weight / sum(target) for weight in target]
        return -sum((a - b) ** 2 for a, b in zip(shares, wanted, strict=True))

    assert search_weights(3, score) == target


def test_what_scores_no_higher_changes_nothing():
    asked = []
    assert search_weights(4, lambda weights: asked.append(weights) or 0.5) == (1, 1, 1, 1)
    assert (0, 0, 0, 0) not in asked
    assert len(asked) == 1 + 4 * 3  # one round


@pytest.mark.parametrize("n", [1, 2])
def test_one_member_may_be_left(n):
    assert search_weights(n, lambda weights: float(weights[-1] > 0 and not any(weights[:-1])))[-1] == 1
