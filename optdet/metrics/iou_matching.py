"""One-to-one matching of words and detections as detections arrive one by one, compiled.

The rule gives each word, in their order, the first of its detections in contour order that is still free.
All detections rank the words alike, and every word ranks its detections by their place, so the result is the
one stable matching (Gale and Shapley, 1962): it may as well be found by detections that offer themselves to
their words in turn, a word keeping the first of those that it was offered. A detection more then costs the
offers that it causes, and what was refused once stays refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optdet.compiled import compiled
from optdet.metrics.matching import FALSE_POSITIVES, FOUND, HELD, N_TOTALS

TAKEN = 2
"""Columns by word: the step that added its detection, -1 for none, and the pair."""


@compiled
def match_in_order(
    sequence: Any, places: Any, tables: Any, by_word: Any, first_word: int, totals: Any
) -> None:
    """Add detections one after the other to an image that has none; ``totals`` (n, N_TOTALS) are those
    after each.

    ``sequence`` (n,) holds indices into ``tables``, or -1 for a step that adds nothing; ``places`` (n,) the
    detections' places in contour order. ``by_word`` (words, at least TAKEN) is room; words are numbered from
    ``first_word``.
    """
    detections, pairs, _ = tables
    by_word[:, 0] = -1
    found = valid = 0
    for step in range(len(sequence)):
        detection = sequence[step]
        if detection >= 0 and detections[detection, 1] == 0:
            valid += 1
            offered, pair, end = step, detections[detection, 0], detections[detection + 1, 0]
            while pair < end:
                word = pairs[pair, 0] - first_word
                holder = by_word[word, 0]
                if holder < 0 or places[offered] < places[holder]:
                    refused = by_word[word, 1]
                    by_word[word, 0], by_word[word, 1] = offered, pair
                    if holder < 0:
                        found += 1
                        break
                    offered, pair, end = holder, refused, detections[sequence[holder] + 1, 0]
                pair += 1
        totals[step, :] = 0
        totals[step, HELD] = totals[step, FOUND] = found
        totals[step, FALSE_POSITIVES] = valid - found


@compiled
def match_all(detections: Any, n_words: int, tables: Any) -> Any:
    """Totals (N_TOTALS,) of one image's detections, indices into ``tables``, in contour order."""
    totals = np.zeros((len(detections) + 1, N_TOTALS), dtype=np.int64)
    by_word = np.empty((n_words, TAKEN), dtype=np.int32)
    match_in_order(detections, np.arange(len(detections)), tables, by_word, 0, totals[1:])
    return totals[-1]
