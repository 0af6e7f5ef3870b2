"""A worker: takes slots of a study and fills them with trials until the study is full.

The loop around Optuna's ask and tell is our own, so that a trial that loses its worker keeps its number, its
parameters and its reports, and goes on from its last checkpoint.
"""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field
from threading import Event

import optuna
import torch
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from optdet.config import Config, DataConfig
from optdet.data.fingerprints import DataChanged
from optdet.data.sets import DataSets, open_sets
from optdet.disk import DiskUnusable, disk_faults
from optdet.drawing.typeface import font_note
from optdet.errors import OptdetError, TrialFailed
from optdet.evaluation.compiling import make_compiled
from optdet.inference.cache_listing import evict, list_cache
from optdet.inference.device import CardLost, is_lost
from optdet.phrases import counted
from optdet.store.heartbeat import Heartbeat
from optdet.store.leases import Full, Leases, Slot, SlotLost, Wait
from optdet.store.outage import DatabaseAway, database_wait_s
from optdet.training.checkpoints import CheckpointFolder
from optdet.tuning import attributes as attr
from optdet.tuning.data_state import require_newest_data, require_same_data
from optdet.tuning.housekeeping import keep_best, sweep_finished
from optdet.tuning.interrupts import Interrupts, Stopped
from optdet.tuning.objective import run_objective
from optdet.tuning.preflight import check_networks_of_made
from optdet.tuning.progress import Progress, TrialOutcome
from optdet.tuning.slot_trial import begun_trial
from optdet.tuning.study import OpenStudy
from optdet.tuning.trial_training import TrialContext

_POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended: ``full``, out of time (``timeout``), or after too many failures (``failures``)."""

    reason: str
    finished: int
    total: int
    last_failure: str | None = None


@dataclass(slots=True)
class Worker:
    """Runs trials of one study in this process, with ``accept_changed_data`` also on images or labels that
    changed.

    ``stop`` ends the run at the next epoch, leaving the trial to whoever runs the study next; a signal that
    ``interrupts`` handles ends it at once.
    """

    study: OpenStudy
    device: torch.device
    progress: Progress
    total: int
    deadline: float | None = None
    accept_changed_data: bool = False
    interrupts: Interrupts = field(default_factory=Interrupts)
    database_wait_s: float = field(default_factory=database_wait_s)
    _sets: dict[DataConfig, DataSets] = field(default_factory=dict)

    @property
    def stop(self) -> Event:
        return self.interrupts.stop

    def run(self) -> RunResult:
        """Trials until ``total`` are finished, over all workers; OptdetError for unusable data or models.

        A database that goes away is to a trial what the death of its worker is: it goes on from its last
        checkpoint, once the database is back. So are a full disk (DiskUnusable) and a card that refuses all
        work (CardLost), which end this run.
        """
        leases = Leases(self.study.storage, self.study.study_id, self.study.uuid)
        while True:
            try:
                with disk_faults():
                    return self._work(leases)
            except DatabaseAway as away:
                self._wait_for_database(leases, away)
            except KeyError:  # Optuna's, of a study or a trial that is gone
                leases.require_study()
                raise

    def _work(self, leases: Leases) -> RunResult:
        study = self.study
        with self.interrupts.allowed():
            # What would fail every trial stops the run before one begins.
            if study.n_finished() < self.total:
                self.open_sets(study.config.base_config())
                check_networks_of_made(study.config)
                make_compiled(study.places.cache_dir, self.progress.say)
            sweep_finished(study)
            keep_best(study)
        failures, last_failure, waited = 0, None, False
        while True:
            # No interrupt is raised in this loop, where slots change hands: it looks for itself.
            if self.stop.is_set():
                raise Stopped
            if self._out_of_time():
                return RunResult("timeout", self.study.n_finished(), self.total)
            slot = leases.reserve(self.total)
            if isinstance(slot, Full):
                return RunResult("full", slot.finished, self.total)
            self.progress.begun()
            if isinstance(slot, Wait):
                if not waited:
                    left = counted(slot.live, "trial")
                    self.progress.say(f"waiting: other workers have what is left ({left})")
                waited = True
                self.stop.wait(_POLL_S)
                continue
            waited = False
            outcome = self._run_slot(leases, slot)
            if outcome is None:
                continue
            failed = outcome.state == "failed"
            failures, last_failure = (failures + 1, outcome.reason) if failed else (0, last_failure)
            self.progress.trial_finished(outcome, self.study.n_finished(), self.total)
            if failures >= study.config.max_failures:
                return RunResult("failures", self.study.n_finished(), self.total, last_failure)

    def _wait_for_database(self, leases: Leases, away: DatabaseAway) -> None:
        """Until it answers again; the last ``away`` where it does not within ``database_wait_s``."""
        self.progress.say(f"{away.what}; trying on for {self.database_wait_s:g} s")
        end = time.monotonic() + self.database_wait_s
        while not self._released(leases):
            if self._out_of_time() or time.monotonic() > end:
                raise away
            self.stop.wait(_POLL_S)
        self.progress.say("the database is back")

    def _released(self, leases: Leases) -> bool:
        if self.stop.is_set():
            raise Stopped
        try:
            leases.release_all()
        except DatabaseAway:
            return False
        return True

    def open_sets(self, config: Config) -> DataSets:
        """The images of a config; opened once for all trials that share them, but DataChanged at any of them
        where another worker has gone on with changed ones."""
        if config.data in self._sets:
            sets = self._sets[config.data]
            require_newest_data(self.study, config.data, sets.state)
        else:
            places = self.study.places
            sets = open_sets(
                config.data,
                data_root=self.study.data_root,
                data_dir=places.data_dir,
                cache_dir=places.cache_dir,
                max_cache_gb=config.cache.max_gb,
                on_image=self.progress.preparing,
            )
            evict(list_cache(places.cache_dir), config.cache.max_gb)  # but not these: their readers hold them
            for note in (*sets.notes, *self._font_notes(sets)):
                self.progress.say(note)
            accepted = require_same_data(self.study, config.data, sets.state, accept=self.accept_changed_data)
            if accepted is not None:
                self.progress.say(accepted)
            self._sets[config.data] = sets
        return sets

    def _font_notes(self, sets: DataSets) -> list[str]:
        """Of names of images that the pictures of trials will not show as they are."""
        drawn = sets.val.samples if self.study.config.keep.overlays else ()
        note = font_note(sample.name for sample in drawn)
        return [] if note is None else [note]

    def _run_slot(self, leases: Leases, slot: Slot) -> TrialOutcome | None:
        """The trial of a slot, told; None where the slot was lost to another worker."""
        keep_slot = False
        try:
            with self.interrupts.allowed(), Heartbeat(leases, slot) as heartbeat:
                trial, slot = begun_trial(self.study, leases, slot)
                if slot.n_takeovers > self.study.config.max_takeovers:
                    reason = f"its worker died {slot.n_takeovers} times without finishing an epoch"
                    return self._tell_failed(trial, heartbeat, reason, time.monotonic())
                return self._run_trial(leases, slot, trial, heartbeat)
        except SlotLost:
            self.progress.say("this trial was taken over by another worker; going on with the next")
            return None
        except UpdateFinishedTrialError:
            self.progress.say("this trial was ended by somebody else; going on with the next")
            return None
        except CardLost:
            keep_slot = True  # as of a process that was killed: whoever goes on counts it as such
            raise
        finally:
            if not keep_slot:
                leases.release(slot)

    def _run_trial(
        self, leases: Leases, slot: Slot, trial: optuna.Trial, heartbeat: Heartbeat
    ) -> TrialOutcome:
        started = time.monotonic()

        def on_epoch() -> None:
            leases.progress(slot)
            if self.stop.is_set() or self._out_of_time():
                raise Stopped

        context = TrialContext(self.study, self.device, self.progress, self.open_sets, heartbeat, on_epoch)
        try:
            with disk_faults():
                result = run_objective(context, trial, taken_over=slot.taken_over)
        except optuna.TrialPruned:
            return self._told(trial, heartbeat, TrialState.PRUNED, None, started=started)
        except TrialFailed as failure:
            return self._tell_failed(trial, heartbeat, failure.reason, started)
        except (
            SlotLost,
            Stopped,
            UpdateFinishedTrialError,
            DatabaseAway,
            DiskUnusable,
            DataChanged,
            KeyboardInterrupt,
        ):
            raise
        except OptdetError as error:
            return self._tell_failed(trial, heartbeat, str(error), started)
        except Exception as error:
            self._confirm_failure(heartbeat)
            # A defect of ours, or of a library: the study goes on, the traceback is kept.
            path = self.study.places.run_dir(self.study.name, trial.number) / "traceback.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(traceback.format_exc(), encoding="utf-8")
            reason = f"{type(error).__name__}: {error} (see {path})"
            if is_lost(self.device):
                raise CardLost(
                    f"the GPU does nothing more for this process: {reason}",
                    where=f"trial {trial.number}",
                    fix="run the study again; the trial goes on",
                ) from error
            return self._tell_failed(trial, heartbeat, reason, started)
        return self._told(trial, heartbeat, TrialState.COMPLETE, result.value, started=started)

    def _told(
        self,
        trial: optuna.Trial,
        heartbeat: Heartbeat,
        state: TrialState,
        value: float | None,
        *,
        started: float,
    ) -> TrialOutcome:
        heartbeat.confirm()  # before tell: a finished trial's slot is cleared by anyone
        current = self.study.storage.get_trial(trial._trial_id).state
        if current.is_finished():  # by somebody in the dashboard; tell has no error of its own for it
            raise UpdateFinishedTrialError(f"trial {trial.number} is {current.name.lower()} already")
        frozen = self.study.study.tell(trial, value, state=state)
        folder = CheckpointFolder(self.study.places.run_dir(self.study.name, trial.number) / "checkpoints")
        folder.keep_final()
        if state == TrialState.COMPLETE:
            keep_best(self.study)
        seconds = time.monotonic() - started
        name = "complete" if state == TrialState.COMPLETE else "pruned"
        return TrialOutcome(trial.number, name, frozen.value, seconds)  # type: ignore[arg-type]

    def _tell_failed(
        self, trial: optuna.Trial, heartbeat: Heartbeat, reason: str, started: float
    ) -> TrialOutcome:
        self._confirm_failure(heartbeat)
        trial.set_user_attr(attr.FAILURE, reason)
        self.study.study.tell(trial, state=TrialState.FAIL)
        return TrialOutcome(trial.number, "failed", None, time.monotonic() - started, reason)

    def _confirm_failure(self, heartbeat: Heartbeat) -> None:
        """SlotLost or Stopped where what went wrong is not the trial's own: files vanish, and trials end,
        where another worker has the slot; a loader of images or a driver of a database that was interrupted
        too has an error of its own for it."""
        heartbeat.confirm()
        if self.stop.is_set():
            raise Stopped

    def _out_of_time(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline
