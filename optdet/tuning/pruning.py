"""Whether a trial ends after an epoch: asked of its pruner once, whoever asks again after a kill.

Hyperband notes in the database that a trial has reached a rung before it answers; asked again, it would look
at the next one. So what a pruner notes is held back, and kept together with its answer.
"""

from __future__ import annotations

import copy
from typing import Any, cast

import optuna
from optuna.storages import BaseStorage, RDBStorage

from optdet.store.attribute_rows import set_system_attributes
from optdet.store.trial_restart import PRUNED_AT


def prunes(storage: RDBStorage, trial: optuna.Trial, epoch: int) -> bool:
    """The pruner's answer on a running trial after an epoch (from 1) that was reported."""
    if storage.get_trial_system_attrs(trial._trial_id).get(PRUNED_AT) == epoch:
        return True
    noting = _Noting(storage)
    asked = copy.copy(trial)
    asked.study = copy.copy(trial.study)
    asked.study._storage = cast(BaseStorage, noting)
    answer = asked.should_prune()
    if answer:
        noting.noted[PRUNED_AT] = epoch
    if noting.noted:
        set_system_attributes(storage, trial._trial_id, noting.noted)
    return answer


class _Noting:
    """A storage that keeps back what it is told of the trial."""

    def __init__(self, storage: BaseStorage) -> None:
        self._storage = storage
        self.noted: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def set_trial_system_attr(self, _trial_id: int, key: str, value: Any) -> None:
        self.noted[key] = value
