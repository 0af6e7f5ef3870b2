"""What a run is at, and how long it still takes, from what its workers say: for a live view.

Times are measured here, in seconds of this process's monotonic clock. What is left is what was measured times
what is to be done: nothing (None) before the first epoch was measured, and where what was measured is over
and it still works; too much where trials are pruned.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, median_low
from typing import Any

from optdet.store.study_index import Standing
from optdet.training.history import EpochRecord
from optdet.tuning.progress import Progress, TrialOutcome

_N_RECENT = 9
_LEAST_S = 0.5
"""Less would be said as 0 s."""


class WorkerWatch(Progress):
    """One worker: its running trial (``number`` is None between trials) and what it does at the moment.

    ``on_change`` is called where the study may stand otherwise than before: a trial or an epoch began or
    ended.
    """

    def __init__(
        self, on_change: Callable[[], None] = lambda: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._on_change = on_change
        self._clock = clock
        self.number: int | None = None
        self.params: Mapping[str, Any] = {}
        self.epochs = 0
        self.epoch_done = 0
        self.loss: float | None = None
        self.hmean: float | None = None
        self.images_per_s: float | None = None
        self.stage = "starting"
        """What it does, ``done`` of ``n_steps``; these are 0 where nothing is counted."""
        self.done = 0
        self.n_steps = 0
        self.is_finishing = False
        """Its epochs are over: maps, tuning, pictures."""
        self.trial_seconds: list[float] = []
        """Of the trials that this worker ran from their beginning to their end."""
        self._epoch_seconds: deque[float] = deque(maxlen=_N_RECENT)
        self._tail_seconds: deque[float] = deque(maxlen=_N_RECENT)
        self._began = self._mark = clock()
        self._whole = True

    def preparing(self, done: int, total: int) -> None:
        self._step("preparing images", done, total, then="starting")

    def trial_started(self, number: int, params: Mapping[str, Any], epochs: int, *, taken_over: bool) -> None:
        self.number, self.params, self.epochs = number, params, epochs
        self.epoch_done, self._whole, self.is_finishing = 0, not taken_over, False
        self.loss = self.hmean = self.images_per_s = None
        self._began = self._mark = self._clock()
        self._at("starting")
        self._on_change()

    def resumed(self, record: EpochRecord) -> None:
        self._ended(record)

    def batch(self, done: int, total: int, loss: float | None) -> None:
        self.loss = self.loss if loss is None else loss
        self._step("training", done, total, then="validating")

    def epoch(self, record: EpochRecord) -> None:
        if record.images_per_s > 0:  # else it was scored alone, where a trial starts from another's weights
            self._epoch_seconds.append(self._clock() - self._mark)
        else:
            self._whole = False
        self._ended(record)

    def tuning(self, done: int, total: int) -> None:
        self.is_finishing = True  # fewer epochs may have been enough
        self._step("tuning", done, total, then="keeping it")

    def trial_finished(self, outcome: TrialOutcome, n_finished: int, total: int) -> None:
        now = self._clock()
        if outcome.state == "complete":
            self._tail_seconds.append(now - self._mark)
        if self._whole and outcome.state != "failed":
            self.trial_seconds.append(now - self._began)
        self.stopped()
        self._on_change()

    def stopped(self) -> None:
        """It has no trial: one has ended, or the worker has."""
        self.number, self.is_finishing = None, False
        self._at("between trials")

    @property
    def expected_seconds(self) -> float | None:
        """Of a whole trial like the running one, or the last."""
        if not self._epoch_seconds:
            return None
        return self.epochs * median_low(self._epoch_seconds) + self._tail()

    @property
    def seconds_left(self) -> float | None:
        """Of the running trial; an epoch that takes longer than those before it counts as just done."""
        spent = self._clock() - self._mark
        if self.is_finishing:
            return _if_any(self._tail() - spent)
        if self.number is None or not self._epoch_seconds:
            return None
        an_epoch = median_low(self._epoch_seconds)
        n_left = self.epochs - self.epoch_done
        return _if_any(n_left * an_epoch - min(spent, an_epoch) + self._tail())

    def _tail(self) -> float:
        """From the last epoch to the end; 0 where no trial has come to it."""
        return median_low(self._tail_seconds) if self._tail_seconds else 0.0

    def _ended(self, record: EpochRecord) -> None:
        self.epoch_done, self.loss, self.hmean = record.epoch, record.loss, record.hmean
        self.images_per_s = record.images_per_s or None
        self._mark = self._clock()
        self.is_finishing = record.epoch >= self.epochs
        self._at("freezing" if self.is_finishing else "training")
        self._on_change()

    def _step(self, stage: str, done: int, n_steps: int, *, then: str) -> None:
        """One of a stage that is counted; after its last one it is at what comes next."""
        self._at(*((stage, done, n_steps) if done < n_steps else (then, 0, 0)))

    def _at(self, stage: str, done: int = 0, n_steps: int = 0) -> None:
        self.stage, self.done, self.n_steps = stage, done, n_steps


class RunWatch:
    """A run of ``total`` finished trials by ``n_workers`` of this machine.

    ``look`` reads how the whole study stands, other workers' trials included, and is asked again with every
    epoch and trial. Where it fails, as with a database that is away, the last answer stands.
    """

    def __init__(
        self, study: str, total: int, look: Callable[[], Standing], *, names_best: bool, n_workers: int = 1
    ) -> None:
        self.study = study
        self.total = total
        self.names_best = names_best
        self.workers: Sequence[WorkerWatch] = [WorkerWatch(self.look) for _ in range(n_workers)]
        self.standing = Standing({}, None, None)
        self._look = look
        self.look()

    def look(self) -> None:
        try:
            self.standing = self._look()
        except Exception:  # a view is no reason to end what it shows
            return

    @property
    def n_finished(self) -> int:
        return self.standing.n_trials.get("COMPLETE", 0) + self.standing.n_trials.get("PRUNED", 0)

    @property
    def knows_a_whole_trial(self) -> bool:
        """Whether a trial has ended: before, what comes after its epochs is not in an estimate."""
        return any(worker.trial_seconds for worker in self.workers)

    @property
    def seconds_left(self) -> float | None:
        """Until the study is full, if only these workers are at it and each trial takes the mean of those
        that were measured: of ended ones, else of the running ones without any pruning."""
        measured = [seconds for worker in self.workers for seconds in worker.trial_seconds]
        expected = [worker.expected_seconds for worker in self.workers]
        known = measured or [seconds for seconds in expected if seconds is not None]
        if not known:
            return None
        a_trial = fmean(known)
        running = [worker for worker in self.workers if worker.number is not None]
        left = [worker.seconds_left or (0.0 if worker.is_finishing else a_trial) for worker in running]
        n_more = max(0, self.total - self.n_finished - len(running))
        return _if_any(max([sum(left) / len(self.workers) + n_more * a_trial / len(self.workers), *left]))


def _if_any(seconds: float) -> float | None:
    return seconds if seconds >= _LEAST_S else None
