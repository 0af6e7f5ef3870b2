"""A trial while it trains: what the study, the pruner and whoever watches hear of each epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import optuna
import torch

from optdet.config import Config
from optdet.data.sets import DataSets
from optdet.phrases import counted
from optdet.store.heartbeat import Heartbeat
from optdet.store.leases import SlotLost
from optdet.store.registry import record_checkpoint
from optdet.training.callbacks import FitCallbacks
from optdet.training.checkpoints import SavedCheckpoint
from optdet.training.history import EpochRecord
from optdet.training.recovery import Batching
from optdet.tuning import attributes as attr
from optdet.tuning.progress import Progress
from optdet.tuning.pruning import prunes
from optdet.tuning.study import OpenStudy
from optdet.tuning.trial_attributes import set_attributes, source_attribute


@dataclass(frozen=True, slots=True)
class TrialContext:
    """What a worker gives each of its trials. ``on_epoch`` may raise to leave the trial to another worker, as
    a lost ``heartbeat`` does."""

    study: OpenStudy
    device: torch.device
    progress: Progress
    open_sets: Callable[[Config], DataSets]
    heartbeat: Heartbeat
    on_epoch: Callable[[], None]

    def say(self, number: int, message: str) -> None:
        """Of a trial."""
        self.progress.say(f"trial {number}: {message}")


class TrialTraining:
    """Hears of a trial's epochs, in this process and, from checkpoints, of those before it."""

    def __init__(self, context: TrialContext, trial: optuna.Trial, config: Config, *, n_epochs: int) -> None:
        self._context = context
        self._trial = trial
        self._config = config
        self._n_epochs = n_epochs
        self._reported = dict(trial.study._storage.get_trial(trial._trial_id).intermediate_values)
        self._n_known = len(self._reported)
        self._replayed = 0
        self._records: dict[int, EpochRecord] = {}

    @property
    def history(self) -> list[EpochRecord]:
        """The epochs so far; of one that was trained twice the second."""
        return [self._records[epoch] for epoch in sorted(self._records)]

    def callbacks(self) -> FitCallbacks:
        return FitCallbacks(
            on_resume=self._resume,
            on_smaller_batch=self._smaller_batch,
            on_epoch_end=self._epoch_end,
            on_checkpoint=self._checkpoint,
            on_batch=self._batch,
            before_save=self._context.heartbeat.confirm,
            say=self._say,
        )

    def _resume(self, history: Sequence[EpochRecord]) -> None:
        if self._n_known and not history:
            self._say(f"no checkpoint of its {counted(self._n_known, 'epoch')} is left; training again")
        self._n_known = 0  # what is lost from here on is said where it is noticed
        for record in history:
            self._report(record)
        self._replayed = history[-1].epoch if history else 0
        if history:
            self._context.progress.resumed(history[-1])

    def _epoch_end(self, record: EpochRecord) -> None:
        self._report(record)
        if record.epoch != self._replayed:  # who trained it has shown it
            self._context.progress.epoch(record)
        self._context.on_epoch()
        if record.epoch < max(self._reported):  # trained again, for its lost files: it was not stopped here
            return
        # After the last epoch pruning saves seconds of tuning, and loses a value. And what somebody asked to
        # go on is not stopped where it was stopped before.
        may_end = record.epoch < self._n_epochs and attr.EXTENDED_FROM not in self._trial.user_attrs
        if may_end and prunes(self._context.study.storage, self._trial, record.epoch):
            raise optuna.TrialPruned

    def _report(self, record: EpochRecord) -> None:
        self._records[record.epoch] = record
        if record.sources:
            sources = [source_attribute(each) for each in self.history if each.sources]
            self._set({attr.SOURCES: sources})
        # Against the epochs before it alone: one that is replayed decides as it did the first time.
        before = [value for epoch, value in self._reported.items() if epoch < record.epoch]
        if self._config.train.checkpoint == "fixed" or all(record.hmean > value for value in before):
            self._set({attr.EPOCH_THRESHOLDS: record.thresholds.as_dict()})
        if record.epoch not in self._reported:  # a trial that goes on replays its last epoch
            self._trial.report(record.hmean, record.epoch)
            self._reported[record.epoch] = record.hmean

    def _batch(self, done: int, n_batches: int, loss: float | None) -> None:
        self._context.progress.batch(done, n_batches, loss)
        if self._context.heartbeat.lost:
            raise SlotLost

    def _checkpoint(self, saved: SavedCheckpoint) -> None:
        if saved.kind == "best":  # a last one is found in its folder, by whoever goes on with the trial
            register_checkpoint(self._context.study, self._trial.number, saved)

    def _smaller_batch(self, batching: Batching) -> None:
        self._set({attr.BATCHING: asdict(batching)})

    def _set(self, attributes: dict[str, object]) -> None:
        set_attributes(self._context.study.storage, self._trial, attributes)

    def _say(self, message: str) -> None:
        self._context.say(self._trial.number, message)


def register_checkpoint(study: OpenStudy, number: int, saved: SavedCheckpoint) -> None:
    """Write into the database where a trial's checkpoint lies."""
    record_checkpoint(
        study.storage,
        study.uuid,
        number,
        saved.kind,
        path=study.places.relative(saved.path),
        sha256=saved.sha256,
        epoch=saved.epoch,
    )
