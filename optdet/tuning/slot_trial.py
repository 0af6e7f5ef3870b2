"""The Optuna trial of a slot: a new one, or that of the worker from which the slot was taken over."""

from __future__ import annotations

import optuna

from optdet.store.leases import Leases, Slot


def trial_of(study: optuna.Study, leases: Leases, slot: Slot) -> tuple[optuna.Trial, Slot]:
    """The trial with its number, parameters and reports as they are, and the slot bound to it; SlotLost where
    it expired meanwhile."""
    if slot.trial_number is None:
        trial = study.ask()
        return trial, leases.bind(slot, trial.number)
    trial_id = leases.storage.get_trial_id_from_study_id_trial_number(leases.study_id, slot.trial_number)
    return optuna.Trial(study, trial_id), slot
