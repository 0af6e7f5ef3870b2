"""What gates read of a result: the local cross-fitted H-mean, or what the leaderboard said, never a mix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from optdet.playbook.result import StageResult, WrittenFile
from optdet.structures import Thresholds


@dataclass(frozen=True, slots=True)
class Reading:
    """A score, and the thresholds that it belongs to."""

    hmean: float
    thresholds: Thresholds | None


class Reader(Protocol):
    @property
    def name(self) -> str:
        """In words, for a table."""
        ...

    def read(self, result: StageResult) -> Reading | None:
        """None where the score is not known yet."""
        ...


class _Local:
    name = "local, cross-fitted"

    def read(self, result: StageResult) -> Reading:
        return Reading(result.local, result.thresholds)


@dataclass(frozen=True, slots=True)
class Board:
    """``hmean_of`` is what the leaderboard said of a file, None where nothing was recorded."""

    hmean_of: Callable[[WrittenFile], float | None]
    name: str = "leaderboard"

    def read(self, result: StageResult) -> Reading | None:
        """The best that was recorded of a stage's files, once its own is among them."""
        scores = [(self.hmean_of(file), file) for file in result.files]
        if not scores or scores[0][0] is None:
            return None
        best, file = max(((hmean, file) for hmean, file in scores if hmean is not None), key=lambda e: e[0])
        return Reading(best, file.thresholds)


LOCAL: Final[Reader] = _Local()
