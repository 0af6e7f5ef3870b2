"""One-to-one matching as detections arrive, in any order: after each, what the rule gives for those there."""

from __future__ import annotations

import numpy as np
import pytest

from optdet.metrics.iou_matching import TAKEN, match_in_order
from optdet.metrics.matching import FALSE_POSITIVES, FOUND, HELD, N_TOTALS


def matched_by_turns(words_of, places, n_words):
    """Each word in its turn takes the first free detection in contour order; how many find one."""
    free = [words_of[index] for index in np.argsort(places)]
    n_matched = 0
    for word in range(n_words):
        taker = next((index for index, words in enumerate(free) if word in words), None)
        if taker is not None:
            n_matched += 1
            del free[taker]
    return n_matched


def tables_of(words_of, ignored, first_word):
    detections = np.zeros((len(words_of) + 1, 5), dtype=np.int32)
    detections[:, 0] = np.cumsum([0, *map(len, words_of)])
    detections[:-1, 1] = ignored
    pairs = np.zeros((detections[-1, 0] + 1, 4), dtype=np.int32)
    pairs[:-1, 0] = [word + first_word for words in words_of for word in words]
    return detections, pairs, np.zeros(0, dtype=np.int32)


@pytest.mark.parametrize("seed", range(5))
def test_every_step_is_what_the_rule_gives(seed):
    rng = np.random.default_rng(seed)
    n_moved = 0
    for _ in range(60):
        n_words, n = int(rng.integers(1, 9)), int(rng.integers(1, 14))
        words_of = [
            sorted(rng.choice(n_words, min(n_words, rng.integers(0, 4)), replace=False).tolist())
            for _ in range(n)
        ]
        ignored = rng.random(n) < 0.2
        places = rng.permutation(n)
        sequence = rng.permutation(n)
        sequence[rng.random(n) < 0.1] = -1
        totals = np.full((n, N_TOTALS), -1)
        by_word = np.zeros((n_words, TAKEN), dtype=np.int32)
        tables = tables_of(words_of, ignored, first_word=7)
        match_in_order(sequence, places, tables, by_word, 7, totals)
        for step in range(n):
            added = [i for i in range(step + 1) if sequence[i] >= 0 and not ignored[sequence[i]]]
            n_matched = matched_by_turns([words_of[sequence[i]] for i in added], places[added], n_words)
            expected = np.zeros(N_TOTALS, dtype=int)
            expected[[HELD, FOUND]] = n_matched
            expected[FALSE_POSITIVES] = len(added) - n_matched
            assert totals[step].tolist() == expected.tolist()
            n_moved += sum(len(words_of[sequence[i]]) > 1 for i in added)
    assert n_moved > 500
