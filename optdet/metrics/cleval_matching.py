"""CLEval's matching as detections arrive one by one, compiled.

A threshold search adds detections by falling score and wants the counts after each. Adding one can change
only the matches of the words that it has a centre of, so these are looked at again and the counts
corrected. The rules are those of Baek et al. (2020), arXiv:2006.06244, detection only; ``cleval.count``
says them in words.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optdet.compiled import compiled
from optdet.metrics.matching import (
    FALSE_POSITIVES,
    FOUND,
    HELD,
    MERGES,
    N_TOTALS,
    SPLITS,
    matching_state,
)


@compiled
def add_in_order(sequence: Any, tables: Any, state: Any, totals: Any) -> None:
    """Add detections one after the other to an image that has none; ``totals`` (n, N_TOTALS) are those
    after each.

    ``sequence`` (n,) holds indices into ``tables``, or -1 for a step that adds nothing.
    """
    # Unpacked once for the whole sequence: numba counts references at every unpacking.
    detections, pairs, centres = tables
    by_word, covered, entries, added, offsets = state
    first_word, first_centre = offsets
    by_word[:, :] = 0
    by_word[:, 0] = -1
    covered[:] = 0
    n_entries = n_added = 0
    held = found = splits = merges = false_positives = 0
    for step in range(len(sequence)):
        detection = sequence[step]
        if detection >= 0:
            first, end = detections[detection, 0], detections[detection + 1, 0]
            valid = detections[detection, 1] == 0
            added[0, n_added], added[1, n_added] = detection, 0
            if valid:
                false_positives += detections[detection, 3]
            for pair in range(first, end):
                word = pairs[pair, 0] - first_word
                entries[n_entries, 0], entries[n_entries, 1] = by_word[word, 0], pair
                entries[n_entries, 2], entries[n_entries, 3] = n_added, 0
                by_word[word, 0] = n_entries
                n_entries += 1
                if pairs[pair, 2]:
                    by_word[word, 1] += 1
                    if valid:
                        by_word[word, 2] += 1
            n_added += 1
            for own in range(first, end):
                word = pairs[own, 0] - first_word
                entry = by_word[word, 0]
                # Ignored detections match nothing, but they do stand in the way of a one-to-one match.
                lonely, shared = by_word[word, 1] == 1, by_word[word, 2] >= 2
                while entry >= 0:
                    pair, number = entries[entry, 1], entries[entry, 2]
                    other = added[0, number]
                    matches = detections[other, 1] == 0 and (
                        detections[other, 2] != 0
                        or (pairs[pair, 2] != 0 and (shared or (lonely and detections[other, 4] == 1)))
                    )
                    if matches != (entries[entry, 3] != 0):
                        change = 1 if matches else -1
                        entries[entry, 3] = 1 if matches else 0
                        held += change * pairs[pair, 1]
                        if min(added[1, number], added[1, number] + change) > 0:
                            merges += change
                        else:
                            false_positives -= change * detections[other, 3]
                        added[1, number] += change
                        if min(by_word[word, 3], by_word[word, 3] + change) > 0:
                            splits += change
                        by_word[word, 3] += change
                        for i in range(pairs[pair, 3], pairs[pair + 1, 3]):
                            centre = centres[i] - first_centre
                            before = covered[centre]
                            covered[centre] = before + change
                            if min(before, before + change) == 0:
                                found += change
                    entry = entries[entry, 0]
        totals[step, HELD], totals[step, FOUND] = held, found
        totals[step, SPLITS], totals[step, MERGES] = splits, merges
        totals[step, FALSE_POSITIVES] = false_positives


@compiled
def match_all(detections: Any, n_words: int, n_centres: int, tables: Any) -> Any:
    """Totals (N_TOTALS,) of one image's detections, indices into ``tables``; by centre (n_centres,) the
    matched detections that hold it; and the pairs that match, in no order.
    """
    n_entries = 0
    for detection in detections:
        n_entries += tables[0][detection + 1, 0] - tables[0][detection, 0]
    state = matching_state(np.array([0, n_words]), np.array([0, n_centres]), n_entries, len(detections))
    totals = np.zeros((len(detections) + 1, N_TOTALS), dtype=np.int64)
    add_in_order(detections, tables, state, totals[1:])
    _, covered, entries, _, _ = state
    return totals[-1], covered, entries[:, 1][entries[:, 3] != 0]


@compiled
def count_all(detections: Any, n_words: int, n_centres: int, tables: Any) -> Any:
    """The totals of ``match_all`` alone."""
    return match_all(detections, n_words, n_centres, tables)[0]
