"""What a worker says of its trials as lines of JSON, for the process that shows several of them.

A line is one call of :class:`optdet.tuning.progress.Progress`: ``{"epoch": {...}}``. The lines a person reads
(``say``) are not among them. A worker's standard output has nothing else on it.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from optdet.training.history import EpochRecord
from optdet.tuning.progress import Progress, TrialOutcome

_EVERY_S = 0.25
"""Batches and configurations are told no more often: nobody sees more, and pipes are small."""


class EventWriter(Progress):
    """Writes to a file descriptor, each line at once. A reader that has gone is no worker's trouble."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._told_at = float("-inf")

    def preparing(self, done: int, total: int) -> None:
        self._count("preparing", done, total)

    def trial_started(self, number: int, params: Mapping[str, Any], epochs: int, *, taken_over: bool) -> None:
        self._write("trial_started", number=number, params=dict(params), epochs=epochs, taken_over=taken_over)

    def resumed(self, record: EpochRecord) -> None:
        self._write("resumed", record=record.as_dict())

    def batch(self, done: int, total: int, loss: float | None) -> None:
        self._count("batch", done, total, loss=loss)

    def epoch(self, record: EpochRecord) -> None:
        self._write("epoch", record=record.as_dict())

    def tuning(self, done: int, total: int) -> None:
        self._count("tuning", done, total)

    def trial_finished(self, outcome: TrialOutcome, n_finished: int, total: int) -> None:
        self._write("trial_finished", outcome=asdict(outcome), n_finished=n_finished, total=total)

    def _count(self, name: str, done: int, total: int, **more: Any) -> None:
        now = time.monotonic()
        if done == total or now - self._told_at >= _EVERY_S:
            self._told_at = now
            self._write(name, done=done, total=total, **more)

    def _write(self, name: str, **values: Any) -> None:
        line = json.dumps({name: values}) + "\n"
        with contextlib.suppress(OSError):
            os.write(self._descriptor, line.encode())


def replay(line: str, heard_by: Progress) -> None:
    """Make the call that a line stands for; a line that is none, as a library may print, is passed over."""
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
        ((name, values),) = json.loads(line).items()
        if "record" in values:
            values["record"] = EpochRecord.from_dict(values["record"])
        if "outcome" in values:
            values["outcome"] = TrialOutcome(**values["outcome"])
        if name in _EVENTS:
            getattr(heard_by, name)(**values)


_EVENTS = {name for name in vars(EventWriter) if not name.startswith("_")}
