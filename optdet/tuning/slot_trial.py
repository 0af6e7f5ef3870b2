"""The Optuna trial of a slot: a new one, or that of the worker from which the slot was taken over."""

from __future__ import annotations

import optuna

from optdet.store.leases import Leases, Slot
from optdet.store.name_lock import named_lock
from optdet.tuning.space import suggest
from optdet.tuning.study import OpenStudy


def trial_of(study: optuna.Study, leases: Leases, slot: Slot) -> tuple[optuna.Trial, Slot]:
    """The trial with its number, parameters and reports as they are, and the slot bound to it; SlotLost where
    it expired meanwhile."""
    if slot.trial_number is None:
        trial = study.ask()
        return trial, leases.bind(slot, trial.number)
    trial_id = leases.storage.get_trial_id_from_study_id_trial_number(leases.study_id, slot.trial_number)
    return optuna.Trial(study, trial_id), slot


def begun_trial(study: OpenStudy, leases: Leases, slot: Slot) -> tuple[optuna.Trial, Slot]:
    """The same of a study of ours. On a grid with its parameters, one trial at a time: each takes the first
    point that none has."""
    if study.config.sampler.name != "grid":
        return trial_of(study.study, leases, slot)
    with named_lock(study.storage, f"optdet:grid:{study.uuid}"):
        trial, slot = trial_of(study.study, leases, slot)
        suggest(trial, study.config.space)
    return trial, slot
