"""What a run is at and how long it still takes, from what its workers say."""

from __future__ import annotations

import pytest

from optdet.store.study_index import Standing
from optdet.structures import Thresholds
from optdet.training.history import EpochRecord
from optdet.tuning.progress import TrialOutcome
from optdet.tuning.run_watch import RunWatch, WorkerWatch


def record(epoch: int, *, images_per_s: float = 20.0) -> EpochRecord:
    thresholds = Thresholds(0.3, 0.6, 1.5, 1000, False, 3)
    return EpochRecord(epoch, 2.5, 1.0, 1.0, 0.5, 0.001, 0.9, thresholds, 10.0, images_per_s)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def worker(clock: Clock) -> WorkerWatch:
    return WorkerWatch(clock=clock)


def finish(worker: WorkerWatch, number: int, state: str = "complete") -> None:
    worker.trial_finished(TrialOutcome(number, state, 0.9, 0.0), 1, 4)  # type: ignore[arg-type]


def test_nothing_is_said_to_be_left_before_an_epoch_was_measured(worker: WorkerWatch, clock: Clock) -> None:
    assert worker.seconds_left is None
    worker.trial_started(0, {}, 4, taken_over=False)
    clock.passes(5)
    worker.batch(3, 10, 2.0)
    assert worker.seconds_left is None
    clock.passes(5)
    worker.epoch(record(1))
    assert worker.seconds_left == 30
    clock.passes(4)
    assert worker.seconds_left == 26
    clock.passes(60)  # a slow epoch: at least those after it are left
    assert worker.seconds_left == 20


def test_a_slow_first_epoch_is_not_the_measure(worker: WorkerWatch, clock: Clock) -> None:
    worker.trial_started(0, {}, 4, taken_over=False)
    for epoch, seconds in ((1, 60), (2, 10)):
        clock.passes(seconds)
        worker.epoch(record(epoch))
    assert worker.seconds_left == 20


def test_epochs_that_were_not_trained_here_are_not_measured(worker: WorkerWatch, clock: Clock) -> None:
    worker.trial_started(0, {}, 9, taken_over=True)
    clock.passes(1)
    worker.resumed(record(4))
    assert (worker.epoch_done, worker.hmean, worker.seconds_left) == (4, 0.9, None)
    worker.trial_started(1, {}, 9, taken_over=False)
    clock.passes(1)
    worker.epoch(record(5, images_per_s=0.0))  # of a trial that starts from another one's weights
    assert (worker.epoch_done, worker.images_per_s, worker.seconds_left) == (5, None, None)


def test_the_end_of_a_trial_is_measured_and_added(worker: WorkerWatch, clock: Clock) -> None:
    worker.trial_started(0, {}, 1, taken_over=False)
    clock.passes(10)
    worker.epoch(record(1))
    assert worker.seconds_left is None  # tuning and pictures: nobody knows yet
    clock.passes(7)
    finish(worker, 0)
    assert (worker.number, worker.stage, worker.trial_seconds) == (None, "between trials", [17])
    worker.trial_started(1, {}, 2, taken_over=False)
    assert worker.seconds_left == 27
    assert worker.expected_seconds == 27
    clock.passes(10)
    worker.epoch(record(1))
    clock.passes(10)
    worker.epoch(record(2))
    clock.passes(3)
    assert worker.seconds_left == 4


def test_what_takes_longer_than_was_measured_has_no_estimate_rather_than_none_left(
    worker: WorkerWatch, clock: Clock
) -> None:
    worker.trial_started(0, {}, 2, taken_over=False)
    clock.passes(10)
    worker.epoch(record(1))
    clock.passes(9.75)
    assert worker.seconds_left is None  # its last epoch ends; how long what follows takes nobody knows
    worker.epoch(record(2))
    clock.passes(7)
    finish(worker, 0)
    worker.trial_started(1, {}, 2, taken_over=False)
    worker.epoch(record(2))
    clock.passes(6)
    assert worker.seconds_left == 1
    clock.passes(6)
    assert worker.seconds_left is None


def test_a_trial_is_finishing_from_its_last_epoch_on(worker: WorkerWatch) -> None:
    worker.trial_started(0, {}, 3, taken_over=False)
    worker.epoch(record(1))
    assert not worker.is_finishing
    worker.tuning(1, 60)  # stopped early
    assert worker.is_finishing
    finish(worker, 0)
    worker.trial_started(1, {}, 3, taken_over=False)
    assert not worker.is_finishing
    worker.resumed(record(3))
    assert worker.is_finishing


def test_stages(worker: WorkerWatch) -> None:
    def stage() -> tuple[str, int, int]:
        return worker.stage, worker.done, worker.n_steps

    assert stage() == ("starting", 0, 0)
    worker.preparing(2, 5)
    assert stage() == ("preparing images", 2, 5)
    worker.preparing(5, 5)
    worker.trial_started(0, {}, 1, taken_over=False)
    assert stage() == ("starting", 0, 0)
    worker.batch(1, 2, None)
    assert stage() == ("training", 1, 2)
    worker.batch(2, 2, 3.5)
    assert (stage(), worker.loss) == (("validating", 0, 0), 3.5)
    worker.epoch(record(1))
    assert stage() == ("freezing", 0, 0)
    worker.tuning(1, 60)
    assert stage() == ("tuning", 1, 60)


def run(n_workers: int, clock: Clock, *, total: int = 10, complete: int = 0) -> RunWatch:
    watched = RunWatch(
        "s", total, lambda: Standing({"COMPLETE": complete}, None, None), names_best=True, n_workers=n_workers
    )
    watched.workers = [WorkerWatch(clock=clock) for _ in range(n_workers)]
    return watched


def test_a_study_is_what_is_left_of_its_trials_over_the_workers(clock: Clock) -> None:
    watched = run(2, clock, total=10, complete=2)
    assert watched.seconds_left is None
    for number, worker in enumerate(watched.workers):
        worker.trial_started(number, {}, 2, taken_over=False)
    clock.passes(10)
    watched.workers[0].epoch(record(1))
    # One has an epoch of two left, the other is thought to have a whole trial left; six are not begun.
    assert watched.seconds_left == (10 + 20 + 6 * 20) / 2


def test_trials_that_ended_are_the_measure_of_those_to_come_pruned_ones_too(clock: Clock) -> None:
    watched = run(1, clock, total=4, complete=2)
    [worker] = watched.workers
    worker.trial_started(0, {}, 4, taken_over=False)
    clock.passes(10)
    worker.epoch(record(1))
    finish(worker, 0, "pruned")
    worker.trial_started(1, {}, 4, taken_over=True)
    clock.passes(10)
    worker.epoch(record(4))
    finish(worker, 1)  # taken over: how long it took in all was not seen
    assert watched.seconds_left == 2 * 10


def test_the_last_trial_is_as_long_as_its_own_time_whatever_the_number_of_workers(clock: Clock) -> None:
    watched = run(4, clock, total=1)
    worker = watched.workers[0]
    worker.trial_started(0, {}, 2, taken_over=False)
    clock.passes(10)
    worker.epoch(record(1))
    assert watched.seconds_left == 10


def test_of_last_trials_that_are_being_tuned_no_time_is_said(clock: Clock) -> None:
    watched = run(2, clock, total=3)
    for number, worker in enumerate(watched.workers):
        worker.trial_started(number, {}, 1, taken_over=False)
        clock.passes(10)
        worker.epoch(record(1))
    assert watched.seconds_left == 10 / 2  # a third one is to come
    watched.total = 2
    assert watched.seconds_left is None


def test_the_study_is_looked_at_with_every_epoch_and_trial_and_may_be_away() -> None:
    asked = []

    def look() -> Standing:
        asked.append(len(asked))
        if len(asked) > 2:
            raise OSError("the database is away")
        return Standing({"COMPLETE": len(asked), "PRUNED": 1}, 0.5, 0)

    watched = RunWatch("s", 5, look, names_best=True)
    assert watched.n_finished == 2
    watched.workers[0].trial_started(0, {}, 1, taken_over=False)
    watched.workers[0].epoch(record(1))
    assert len(asked) == 3
    assert (watched.n_finished, watched.standing.best_value) == (3, 0.5)
