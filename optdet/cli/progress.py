"""How a run is shown: live bars on a terminal, one plain line an epoch and a trial elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from optdet.training.history import EpochRecord, by_source
from optdet.tuning.progress import Progress, TrialOutcome

_EVERY_S = 5.0


def choose_progress(
    best_of: str | None = "this run", on_begun: Callable[[], None] | None = None
) -> PlainProgress:
    """Bars where stderr is a terminal. Both print to stderr: stdout is for results."""
    return LiveProgress(best_of) if sys.stderr.isatty() else PlainProgress(best_of, on_begun)


class CountedLines:
    """How far a stage is, in a line every few seconds; with ``ends`` also at its end, even of a short one."""

    def __init__(self, say: Callable[[str], None], *, ends: bool) -> None:
        self._say = say
        self._ends = ends
        self._done = 0
        self._said_at = time.monotonic()

    def count(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done <= max(self._done, 1):  # another round
            self._said_at = now
        self._done = done
        if (self._ends and done == total) or now - self._said_at > _EVERY_S:
            self._said_at = now
            self._say(f"{what}: {done} of {total}")


class PlainProgress(Progress):
    """Lines, each complete in itself; ``best_of`` says whose best value they name, None to name none."""

    def __init__(self, best_of: str | None = "this run", on_begun: Callable[[], None] | None = None) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._epochs = 0
        self._number = 0
        self._best: float | None = None
        self._best_of = best_of
        self._on_begun = on_begun
        self._preparing = CountedLines(self.say, ends=True)
        self._tuning = CountedLines(self.say, ends=False)

    def say(self, message: str) -> None:
        self.console.print(message, markup=False)

    def preparing(self, done: int, total: int) -> None:
        self._preparing.count("preparing images", done, total)

    def tuning(self, done: int, total: int) -> None:
        self._tuning.count(f"trial {self._number}: tuning thresholds", done, total)

    def begun(self) -> None:
        if self._on_begun is not None:
            self._on_begun()
            self._on_begun = None

    def trial_started(self, number: int, params: Mapping[str, Any], epochs: int, *, taken_over: bool) -> None:
        self._number, self._epochs = number, epochs
        values = ", ".join(f"{name} {_short(value)}" for name, value in params.items())
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
            f"({outcome.seconds:.0f} s; {n_finished} of {total} finished{best})"
        )

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class LiveProgress(PlainProgress):
    """A bar for the epochs of the running trial and one for the work inside an epoch, below the lines."""

    def __init__(self, best_of: str | None = "this run") -> None:
        super().__init__(best_of)
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self._trial = self._bars.add_task("trial", visible=False)
        self._work = self._bars.add_task("work", visible=False)

    def __enter__(self) -> LiveProgress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def preparing(self, done: int, total: int) -> None:
        self._bars.update(
            self._work, description="preparing images", completed=done, total=total, visible=done < total
        )

    def trial_started(self, number: int, params: Mapping[str, Any], epochs: int, *, taken_over: bool) -> None:
        super().trial_started(number, params, epochs, taken_over=taken_over)
        self._bars.reset(self._trial, total=epochs, visible=True, description=f"trial {number} epochs")

    def batch(self, done: int, total: int, loss: float | None) -> None:
        shown = self._bars.tasks[self._work].description
        text = f"training, loss {loss:.3f}" if loss is not None else shown
        self._bars.update(self._work, completed=done, total=total, description=text, visible=True)

    def epoch(self, record: EpochRecord) -> None:
        super().epoch(record)
        self._bars.update(self._trial, completed=record.epoch)

    def tuning(self, done: int, total: int) -> None:
        self._bars.update(
            self._work, description="tuning thresholds", completed=done, total=total, visible=True
        )

    def trial_finished(self, outcome: TrialOutcome, n_finished: int, total: int) -> None:
        self._bars.update(self._trial, visible=False)
        self._bars.update(self._work, visible=False)
        super().trial_finished(outcome, n_finished, total)


@contextmanager
def image_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for a loop over images, on a terminal; elsewhere a line every few seconds and at its end."""
    if not sys.stderr.isatty():
        lines = CountedLines(lambda line: print(line, file=sys.stderr, flush=True), ends=True)
        yield lambda done, total: lines.count(description, done, total)
        return
    with Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bars:
        task = bars.add_task(description)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
