"""What a run says while it works; the command line shows it, tests record it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from optdet.training.history import EpochRecord

State = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """A trial that was told; ``value`` is None for a failed one, ``reason`` says why it failed."""

    number: int
    state: State
    value: float | None
    seconds: float
    reason: str | None = None


class Progress:
    """Hears everything and says nothing; a display overrides what it shows."""

    def say(self, message: str) -> None:
        """A line that a person should see."""

    def preparing(self, done: int, total: int) -> None:
        """Images made or cached so far."""

    def begun(self) -> None:
        """Data and networks can be used and there are trials to be run; said before each."""

    def trial_started(self, number: int, params: Mapping[str, Any], epochs: int, *, taken_over: bool) -> None:
        """A trial begins, or goes on."""

    def resumed(self, record: EpochRecord) -> None:
        """A trial that goes on has its epochs up to this one, which was heard of when it was trained."""

    def batch(self, done: int, total: int, loss: float | None) -> None:
        """Batches of the running epoch."""

    def epoch(self, record: EpochRecord) -> None:
        """An epoch was trained and validated."""

    def tuning(self, done: int, total: int) -> None:
        """Threshold configurations tried on the frozen maps."""

    def trial_finished(self, outcome: TrialOutcome, n_finished: int, total: int) -> None:
        """A trial was told."""


class Together(Progress):
    """Several that hear the same."""

    def __init__(self, *listeners: Progress) -> None:
        self._listeners = listeners

    def say(self, message: str) -> None:
        for listener in self._listeners:
            listener.say(message)

    def preparing(self, done: int, total: int) -> None:
        for listener in self._listeners:
            listener.preparing(done, total)

    def begun(self) -> None:
        for listener in self._listeners:
            listener.begun()

    def trial_started(self, number: int, params: Mapping[str, Any], epochs: int, *, taken_over: bool) -> None:
        for listener in self._listeners:
            listener.trial_started(number, params, epochs, taken_over=taken_over)

    def resumed(self, record: EpochRecord) -> None:
        for listener in self._listeners:
            listener.resumed(record)

    def batch(self, done: int, total: int, loss: float | None) -> None:
        for listener in self._listeners:
            listener.batch(done, total, loss)

    def epoch(self, record: EpochRecord) -> None:
        for listener in self._listeners:
            listener.epoch(record)

    def tuning(self, done: int, total: int) -> None:
        for listener in self._listeners:
            listener.tuning(done, total)

    def trial_finished(self, outcome: TrialOutcome, n_finished: int, total: int) -> None:
        for listener in self._listeners:
            listener.trial_finished(outcome, n_finished, total)
