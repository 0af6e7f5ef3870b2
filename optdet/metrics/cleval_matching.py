"""CLEval's matching as detections arrive one by one, compiled.

A threshold search adds detections by falling score and wants the counts after each. Adding one can change
only the matches of the words that it has a centre of, so these are looked at again and the counts
corrected. The rules are those of Baek et al. (2020), arXiv:2006.06244, detection only; ``cleval.count``
says them in words.

Words, centres, pairs and detections of several images may stand behind one another in the same arrays:
nothing here connects one image with another but the row of totals that a detection is counted in.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from optdet.compiled import compiled

N_TOTALS: Final = 5
"""Columns of the totals: characters in matches, distinct ones, the two penalties, false positives."""
HELD, FOUND, SPLITS, MERGES, FALSE_POSITIVES = range(N_TOTALS)


@compiled
def matching_state(n_words: int, n_centres: int, n_entries: int, n_detections: int) -> Any:
    """Room for up to ``n_detections`` with ``n_entries`` pairs in all; made empty by :func:`clear`.

    By word: the newest of its entries, near detections, valid near ones, matches. By centre: matched
    detections that hold it. By entry: the next older one of its word, pair, detection added, whether it
    matches. By detection added: its index in the tables, words matched.
    """
    return (
        np.empty((n_words, 4), dtype=np.int32),
        np.empty(n_centres, dtype=np.int32),
        np.empty((n_entries, 4), dtype=np.int32),
        np.empty((2, n_detections), dtype=np.int32),
        np.zeros(2, dtype=np.int64),
    )


@compiled
def clear(state: Any) -> None:
    by_word, covered, _, _, sizes = state
    by_word[:, :] = 0
    by_word[:, 0] = -1
    covered[:] = 0
    sizes[:] = 0


@compiled
def add_detection(detection: int, tables: Any, state: Any, totals: Any) -> None:
    """Add a detection (an index into ``tables``) and correct ``totals`` (N_TOTALS,), its image's row.

    ``tables``: by detection (D + 1, 5) its first pair, ignored, merges, false-positive cost, number of near
    words; by pair (pairs + 1, 4) word, centres inside, near, its first centre; centres.
    """
    detections, pairs, centres = tables
    by_word, covered, entries, added, sizes = state
    number = sizes[1]
    sizes[1] += 1
    added[0, number], added[1, number] = detection, 0
    first, end = detections[detection, 0], detections[detection + 1, 0]
    valid = detections[detection, 1] == 0
    if valid:
        totals[FALSE_POSITIVES] += detections[detection, 3]
    for pair in range(first, end):
        word, entry = pairs[pair, 0], sizes[0]
        sizes[0] += 1
        entries[entry, 0], entries[entry, 1], entries[entry, 2], entries[entry, 3] = (
            by_word[word, 0],
            pair,
            number,
            0,
        )
        by_word[word, 0] = entry
        if pairs[pair, 2]:
            by_word[word, 1] += 1
            if valid:
                by_word[word, 2] += 1
    for own in range(first, end):
        word = pairs[own, 0]
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
                step = 1 if matches else -1
                entries[entry, 3] = 1 if matches else 0
                totals[HELD] += step * pairs[pair, 1]
                if min(added[1, number], added[1, number] + step) > 0:
                    totals[MERGES] += step
                else:
                    totals[FALSE_POSITIVES] -= step * detections[other, 3]
                added[1, number] += step
                if min(by_word[word, 3], by_word[word, 3] + step) > 0:
                    totals[SPLITS] += step
                by_word[word, 3] += step
                for i in range(pairs[pair, 3], pairs[pair + 1, 3]):
                    before = covered[centres[i]]
                    covered[centres[i]] = before + step
                    if min(before, before + step) == 0:
                        totals[FOUND] += step
            entry = entries[entry, 0]


@compiled
def count_all(detections: Any, n_words: int, n_centres: int, tables: Any) -> Any:
    """Totals (N_TOTALS,) of one image's detections, indices into ``tables``."""
    n_entries = 0
    for detection in detections:
        n_entries += tables[0][detection + 1, 0] - tables[0][detection, 0]
    state = matching_state(n_words, n_centres, n_entries, len(detections))
    clear(state)
    totals = np.zeros(N_TOTALS, dtype=np.int64)
    for detection in detections:
        add_detection(detection, tables, state, totals)
    return totals
