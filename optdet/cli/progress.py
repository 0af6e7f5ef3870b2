"""How a run is said in lines: one an epoch and a trial, a few for what is counted; and bars of loops."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from optdet.cli.tables import short_value
from optdet.phrases import out_of
from optdet.training.history import EpochRecord, by_source
from optdet.tuning.progress import Progress, TrialOutcome

_EVERY_S = 5.0
_TIMES_RARER = 3


def write_line(line: str) -> None:
    """A line to stderr, whole and in one write, so that lines of several processes in one file do not mix.

    Whoever has closed stderr wants to hear nothing: that ends no run.
    """
    with suppress(OSError, ValueError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def is_terminal() -> bool:
    """Whether stderr is a terminal that can move its cursor: TERM=dumb says that it cannot."""
    return sys.stderr.isatty() and not Console(stderr=True).is_dumb_terminal


def stdout_is_seen() -> bool:
    """Whether what is printed would land in the midst of a view; else stdout is for results, untouched."""
    return sys.stdout is not None and sys.stdout.isatty()


class CountedLines:
    """How far a stage is, in a line every few seconds; with ``ends`` also at its end, even of a short one.

    With ``rarer`` each line comes three times as late as the one before: an hour is six lines.
    """

    def __init__(self, say: Callable[[str], None], *, ends: bool, rarer: bool = False) -> None:
        self._say = say
        self._ends = ends
        self._rarer = rarer
        self._done: float = float("inf")
        self._said_at = 0.0
        self._wait_s = _EVERY_S

    def count(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done <= self._done:  # another round
            self._said_at, self._wait_s = now, _EVERY_S
        self._done = done
        if (self._ends and done == total) or now - self._said_at > self._wait_s:
            self._said_at = now
            self._wait_s *= _TIMES_RARER if self._rarer else 1
            self._say(f"{what}: {done} of {total}")


class CountedStages(Progress):
    """Lines of what is counted, for where no view shows it: images that are made, a trial's thresholds."""

    def __init__(self, say: Callable[[str], None] = write_line) -> None:
        self._number = 0
        self._preparing = CountedLines(say, ends=True)
        self._tuning = CountedLines(say, ends=False, rarer=True)

    def trial_started(self, number: int, params: Mapping[str, Any], epochs: int, *, taken_over: bool) -> None:
        self._number = number

    def preparing(self, done: int, total: int) -> None:
        self._preparing.count("preparing images", done, total)

    def tuning(self, done: int, total: int) -> None:
        self._tuning.count(f"trial {self._number}: tuning thresholds", done, total)

    def stopped(self) -> None:
        """The worker that was heard has ended: others say so."""


class PlainProgress(Progress):
    """Lines of epochs and trials, each complete in itself; ``best_of`` says whose best value they name, None
    to name none."""

    def __init__(self, best_of: str | None = "this run", on_begun: Callable[[], None] | None = None) -> None:
        self._epochs = 0
        self._number = 0
        self._best: float | None = None
        self._best_of = best_of
        self._on_begun = on_begun

    def say(self, message: str) -> None:
        write_line(message)

    def begun(self) -> None:
        if self._on_begun is not None:
            self._on_begun()
            self._on_begun = None

    def trial_started(self, number: int, params: Mapping[str, Any], epochs: int, *, taken_over: bool) -> None:
        self._number, self._epochs = number, epochs
        values = ", ".join(f"{name} {short_value(value)}" for name, value in params.items())
        self.say(f"trial {number}{' goes on' if taken_over else ''}: {values or 'the config as it stands'}")

    def epoch(self, record: EpochRecord) -> None:
        speed = f"{record.images_per_s:.1f} images/s, " if record.images_per_s > 0 else ""  # none was trained
        self.say(
            f"trial {self._number} epoch {record.epoch}/{self._epochs}: loss {record.loss:.3f}, "
            f"H-mean {record.hmean:.4f} (thresh {record.thresholds.thresh:g}, box_thresh "
            f"{record.thresholds.box_thresh:g}, unclip {record.thresholds.unclip_ratio:g}), "
            f"{speed}{record.seconds:.1f} s"
        )
        if record.sources:
            self.say(f"trial {self._number} epoch {record.epoch} by source: {by_source(record.sources)}")

    def trial_finished(self, outcome: TrialOutcome, n_finished: int, total: int) -> None:
        self.say(self.summary(outcome, n_finished, total))

    def summary(self, outcome: TrialOutcome, n_finished: int, total: int) -> str:
        if outcome.state == "complete" and outcome.value is not None:
            self._best = max(outcome.value, self._best or 0.0)
        value = "" if outcome.value is None else f" {outcome.value:.4f}"
        reason = f": {outcome.reason}" if outcome.reason else ""
        named = self._best is not None and self._best_of is not None
        best = f", best of {self._best_of} {self._best:.4f}" if named else ""
        return (
            f"trial {outcome.number} {outcome.state}{value}{reason} "
            f"({outcome.seconds:.0f} s; {out_of(n_finished, total)} finished{best})"
        )


@contextmanager
def image_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for a loop over images, on a terminal; elsewhere a line every few seconds and at its end."""
    if not is_terminal():
        lines = CountedLines(write_line, ends=True)
        yield lambda done, total: lines.count(description, done, total)
        return
    with Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=stdout_is_seen(),
    ) as bars:
        task = bars.add_task(description)
        yield lambda done, total: bars.update(task, completed=done, total=total)
