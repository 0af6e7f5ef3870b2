"""What the matchers of all metrics read and write: tables of pairs, a state, totals.

``Tables`` of D detections: by detection (D + 1, 5) its first pair, whether it is ignored, whether it merges,
its false-positive cost and its number of near words; by pair (pairs + 1, 4) the word, centres inside, near,
its first centre; and the centres. The last rows only end the ones before. IoU matching, which knows nothing
of centres, fills in what it has: ignored, a cost of 1, and each pair's word.

Words, centres, pairs and detections of several images may stand behind one another in the same arrays:
nothing here connects one image with another but the row of totals that a detection is counted in.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdet.compiled import compiled

Tables = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]

N_TOTALS: Final = 5
"""Columns of the totals: characters in matches, distinct ones, the two penalties, false positives. Where
words are matched as a whole, each counts as one character."""
HELD, FOUND, SPLITS, MERGES, FALSE_POSITIVES = range(N_TOTALS)


@compiled
def matching_state(words: Any, centres: Any, n_entries: int, n_detections: int) -> Any:
    """Room for up to ``n_detections`` with ``n_entries`` pairs in all.

    ``words`` and ``centres``: first and end of those that the tables may name. By word: the newest of its
    entries, near detections, valid near ones, matches. By centre: matched detections that hold it. By
    entry: the next older one of its word, pair, detection added, whether it matches. By detection added:
    its index in the tables, words matched.
    """
    return (
        np.empty((words[1] - words[0], 4), dtype=np.int32),
        np.empty(centres[1] - centres[0], dtype=np.int32),
        np.empty((n_entries, 4), dtype=np.int32),
        np.empty((2, n_detections), dtype=np.int32),
        (words[0], centres[0]),
    )
