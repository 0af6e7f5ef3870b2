"""How the detections of one image relate to its words, each whatever else is detected.

A threshold search works this out once for each distinct detection; ``cleval_matching`` reads it as tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdet.metrics.matching import Tables
from optdet.metrics.rings import Bools, Index, ranges, ring_starts


@dataclass(frozen=True, slots=True, eq=False)
class CLEvalRelations:
    """D detections against the valid words, each whatever else is detected.

    A pair is a word and a detection that holds at least one of the word's centres; those of detection d are
    ``pair_starts[d] : pair_starts[d + 1]``, by word. By pair: ``words``, ``n_inside`` (centres inside),
    ``near`` (whether the area precision suffices) and ``centres[centre_starts[i] : centre_starts[i + 1]]``.
    By detection: ``ignored`` (don't care), ``merges`` (it covers several words as a whole), ``costs``
    (characters charged while nothing matches, 0 where that cannot happen) and ``n_near`` (its near words).
    """

    pair_starts: Index
    words: NDArray[np.int32]
    n_inside: NDArray[np.int32]
    near: Bools
    centre_starts: Index
    centres: NDArray[np.int32]
    ignored: Bools
    merges: Bools
    costs: Index
    n_near: Index

    def __len__(self) -> int:
        return len(self.ignored)

    def tables(self) -> Tables:
        """The same as ``cleval_matching`` reads it: by detection, by pair, and the centres."""
        n_detections, n_pairs = len(self), len(self.words)
        detections = np.zeros((n_detections + 1, 5), dtype=np.int32)
        detections[:, 0] = self.pair_starts
        for column, values in enumerate((self.ignored, self.merges, self.costs, self.n_near), start=1):
            detections[:-1, column] = values
        pairs = np.zeros((n_pairs + 1, 4), dtype=np.int32)
        for column, values in enumerate((self.words, self.n_inside, self.near)):
            pairs[:-1, column] = values
        pairs[:, 3] = self.centre_starts
        return detections, pairs, self.centres

    def without(self, detections: Index, dropped: Bools) -> CLEvalRelations:
        """The relations without the pairs that are ``dropped``; ``detections`` are those of all pairs."""
        kept = np.flatnonzero(~dropped)
        sizes = np.diff(self.centre_starts)[kept]
        return replace(
            self,
            pair_starts=ring_starts(np.bincount(detections[kept], minlength=len(self))),
            words=self.words[kept],
            n_inside=self.n_inside[kept],
            near=self.near[kept],
            centre_starts=ring_starts(sizes),
            centres=self.centres[ranges(self.centre_starts[kept], sizes)],
        )

    def spread(self, kept: Sequence[int] | Index, n_detections: int) -> CLEvalRelations:
        """At their places among ``n_detections``; the other detections are inert: ignored, without a pair."""
        n_pairs = np.zeros(n_detections, dtype=np.intp)
        n_pairs[kept] = np.diff(self.pair_starts)

        def placed(values: NDArray[Any], empty: Any) -> NDArray[Any]:
            result = np.full(n_detections, empty, dtype=values.dtype)
            result[kept] = values
            return result

        return replace(
            self,
            pair_starts=ring_starts(n_pairs),
            ignored=placed(self.ignored, True),
            merges=placed(self.merges, False),
            costs=placed(self.costs, 0),
            n_near=placed(self.n_near, 0),
        )
