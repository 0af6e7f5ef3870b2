"""Workers that start, fail, die and come back in any order: no trial twice, none lost, never one too many."""

from __future__ import annotations

import tempfile
import uuid
from dataclasses import replace
from pathlib import Path

import hypothesis.strategies as st
import optuna
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from optuna.trial import TrialState

from optdet.store import owners
from optdet.store.engine import close_storage, open_storage
from optdet.store.leases import Full, Leases, Slot, Wait
from optdet.store.owners import Owner

N_WORKERS = 4
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


class Worker:
    """One process: what it holds, and how far it has come with it."""

    def __init__(self, leases: Leases) -> None:
        self.leases = leases
        self.slot: Slot | None = None
        self.number: int | None = None
        self.bound = False

    def forget(self) -> None:
        self.slot, self.number, self.bound = None, None, False


class Interleavings(RuleBasedStateMachine):
    storage: optuna.storages.RDBStorage
    living: dict[int, float]

    @initialize(total=st.integers(1, 5))
    def begin(self, total: int) -> None:
        self.total = total
        self.study = optuna.create_study(storage=self.storage, study_name=str(uuid.uuid4()))
        self.study.set_user_attr("uuid", self.study.study_name)
        self.study_id = self.storage.get_study_id_from_name(self.study.study_name)
        self.n_failed = 0
        self.workers = [self.new_worker(pid) for pid in range(N_WORKERS)]

    def new_worker(self, pid: int) -> Worker:
        """The same process number each time, and another start time: as after a restart."""
        started = self.living.get(pid, 0.0) + 1.0
        self.living[pid] = started
        owner = replace(Owner.current(), pid=pid, started=started)
        return Worker(Leases(self.storage, self.study_id, self.study.study_name, owner=owner))

    @rule(which=st.integers(0, N_WORKERS - 1), state=st.sampled_from([*FINISHED, TrialState.FAIL]))
    def go_on(self, which: int, state: TrialState) -> None:
        """The next thing that this worker does: reserve, ask, bind, tell or release."""
        worker = self.workers[which]
        if worker.slot is None:
            outcome = worker.leases.reserve(self.total)
            if isinstance(outcome, Slot):
                worker.slot, worker.number = outcome, outcome.trial_number
                worker.bound = outcome.trial_number is not None
        elif worker.number is None:
            worker.number = self.study.ask().number
        elif not worker.bound:
            worker.slot, worker.bound = worker.leases.bind(worker.slot, worker.number), True
        elif self.state_of(worker.number) == TrialState.RUNNING:
            self.n_failed += state == TrialState.FAIL
            self.study.tell(worker.number, 0.5 if state == TrialState.COMPLETE else None, state=state)
        else:
            worker.leases.release(worker.slot)
            worker.forget()

    @rule(which=st.integers(0, N_WORKERS - 1))
    def die(self, which: int) -> None:
        self.workers[which] = self.new_worker(which)

    @rule()
    def enqueue(self) -> None:
        self.study.enqueue_trial({})

    @invariant()
    def no_trial_is_held_twice(self) -> None:
        held = [worker.number for worker in self.workers if worker.number is not None]
        assert len(held) == len(set(held))

    @invariant()
    def there_is_never_one_too_many(self) -> None:
        states = [trial.state for trial in self.study.get_trials(deepcopy=False)]
        assert sum(state in (*FINISHED, TrialState.RUNNING) for state in states) <= self.total

    def state_of(self, number: int) -> TrialState:
        return self.study.get_trials(deepcopy=False)[number].state

    def teardown(self) -> None:
        """Everybody dies, and one worker alone ends the study: no trial is left running, none is missing."""
        self.workers = [self.new_worker(pid) for pid in range(N_WORKERS)]
        last = self.workers[0]
        while True:
            outcome = last.leases.reserve(self.total)
            assert not isinstance(outcome, Wait), "there is nobody to wait for"
            if isinstance(outcome, Full):
                break
            number = outcome.trial_number
            if number is None:
                number = self.study.ask().number
                outcome = last.leases.bind(outcome, number)
            self.study.tell(number, 0.5)
            last.leases.release(outcome)
        states = [trial.state for trial in self.study.get_trials(deepcopy=False)]
        assert sum(state in FINISHED for state in states) == self.total
        assert states.count(TrialState.FAIL) == self.n_failed
        assert TrialState.RUNNING not in states


def test_leases_hold_under_any_interleaving(monkeypatch: pytest.MonkeyPatch) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        storage = open_storage(Path(folder) / "optdet.db")
        living: dict[int, float] = {}
        monkeypatch.setattr(Interleavings, "storage", storage, raising=False)
        monkeypatch.setattr(Interleavings, "living", living, raising=False)
        me = Owner.current()
        monkeypatch.setattr(
            owners, "process_started", lambda pid: me.started if pid == me.pid else living[pid]
        )
        run_state_machine_as_test(
            Interleavings,
            settings=settings(
                max_examples=12,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        close_storage(storage)
