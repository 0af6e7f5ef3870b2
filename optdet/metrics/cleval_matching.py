"""CLEval's matching as detections arrive one by one, compiled.

A threshold search adds detections by falling score and wants the counts after each. Adding one can change only
the matches of the words that it has a centre of, so these are looked at again and the counts corrected. The
rules are those of Baek et al. (2020), arXiv:2006.06244, detection only; ``cleval.count`` says them in words.

Words, centres, pairs and detections of several images may stand behind one another in the same arrays: nothing
here connects one image with another but the row of totals that a detection is counted in.
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

    By word: the newest of its entries, near detections, valid near ones, matches. By centre: matched detections
    that hold it. By entry: the next older one of its word, pair, detection added, whether it matches. By
    detection added: its index in the tables, words matched.
    """
    return (
        np.empty((4, n_words), dtype=np.int32),
        np.empty(n_centres, dtype=np.int32),
        np.empty((4, n_entries), dtype=np.int32),
        np.empty((2, n_detections), dtype=np.int32),
        np.zeros(2, dtype=np.int64),
    )


@compiled
def clear(state: Any) -> None:
    by_word, covered, _, _, sizes = state
    by_word[0, :] = -1
    by_word[1:, :] = 0
    covered[:] = 0
    sizes[:] = 0


@compiled
def add_detection(detection: int, tables: Any, state: Any, totals: Any) -> None:
    """Add a detection (an index into ``tables``) and correct ``totals`` (N_TOTALS,), its image's row.

    ``tables``: pair starts (D + 1,), and by pair words, centres inside, near, starts of the centres (pairs + 1,)
    and these; by detection ignored, merges, false-positive costs, numbers of near words.
    """
    pair_starts, words, n_inside, near, _, _, ignored, _, costs, _ = tables
    by_word, _, entries, added, sizes = state
    number = sizes[1]
    sizes[1] += 1
    added[0, number], added[1, number] = detection, 0
    valid = ignored[detection] == 0
    if valid:
        totals[FALSE_POSITIVES] += costs[detection]
    for pair in range(pair_starts[detection], pair_starts[detection + 1]):
        word, entry = words[pair], sizes[0]
        sizes[0] += 1
        entries[0, entry], entries[1, entry], entries[2, entry], entries[3, entry] = by_word[0, word], pair, number, 0
        by_word[0, word] = entry
        if near[pair]:
            by_word[1, word] += 1
            if valid:
                by_word[2, word] += 1
    for pair in range(pair_starts[detection], pair_starts[detection + 1]):
        _rematch(words[pair], tables, state, totals)


@compiled
def _rematch(word: int, tables: Any, state: Any, totals: Any) -> None:
    _, _, _, near, _, _, ignored, merges, _, n_near = tables
    by_word, _, entries, added, _ = state
    entry = by_word[0, word]
    while entry >= 0:
        pair, number = entries[1, entry], entries[2, entry]
        detection = added[0, number]
        matches = False
        if ignored[detection] == 0:
            if merges[detection]:
                matches = True
            elif near[pair]:
                # Ignored detections match nothing, but they do stand in the way of a one-to-one match.
                alone = by_word[1, word] == 1 and n_near[detection] == 1
                matches = alone or by_word[2, word] >= 2
        if matches != (entries[3, entry] != 0):
            entries[3, entry] = 1 if matches else 0
            _switch(word, pair, number, 1 if matches else -1, tables, state, totals)
        entry = entries[0, entry]


@compiled
def _switch(word: int, pair: int, number: int, step: int, tables: Any, state: Any, totals: Any) -> None:
    """Count a pair in (step 1), or out again (-1)."""
    _, _, n_inside, _, centre_starts, centres, _, _, costs, _ = tables
    by_word, covered, _, added, _ = state
    totals[HELD] += step * n_inside[pair]
    others = added[1, number] if step > 0 else added[1, number] - 1
    if others > 0:
        totals[MERGES] += step
    else:
        totals[FALSE_POSITIVES] -= step * costs[added[0, number]]
    added[1, number] += step
    others = by_word[3, word] if step > 0 else by_word[3, word] - 1
    if others > 0:
        totals[SPLITS] += step
    by_word[3, word] += step
    for i in range(centre_starts[pair], centre_starts[pair + 1]):
        centre = centres[i]
        before = covered[centre]
        covered[centre] = before + step
        if (step > 0 and before == 0) or (step < 0 and before == 1):
            totals[FOUND] += step


@compiled
def count_all(detections: Any, n_words: int, n_centres: int, tables: Any) -> Any:
    """Totals (N_TOTALS,) of one image's detections, indices into ``tables``."""
    pair_starts = tables[0]
    n_entries = 0
    for detection in detections:
        n_entries += pair_starts[detection + 1] - pair_starts[detection]
    state = matching_state(n_words, n_centres, n_entries, len(detections))
    clear(state)
    totals = np.zeros(N_TOTALS, dtype=np.int64)
    for detection in detections:
        add_detection(detection, tables, state, totals)
    return totals
