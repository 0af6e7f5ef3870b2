"""A running trial that begins again: nothing of it stays but what it was asked with, on every database."""

from __future__ import annotations

import optuna
from optuna.trial import TrialState

from optdet.metrics.scores import PRH
from optdet.store.registry import (
    InnerTrial,
    checkpoint_of,
    load_inner_trials,
    record_checkpoint,
    save_inner_trials,
)
from optdet.store.trial_restart import blank_trial
from optdet.structures import Thresholds

THRESHOLDS = Thresholds(0.3, 0.6, 1.5, 1000, False, 3.0)


def fill(storage, stored, trial):
    trial.suggest_float("lr", 0.1, 0.2)
    for epoch in (1, 2):
        trial.report(0.5, epoch)
    for name in ("config", "scores", "mine"):
        trial.set_user_attr(name, name)
    for name in ("artifacts:1", "completed_rung_0", "dashboard:note", "completedXrungX"):
        storage.set_trial_system_attr(trial._trial_id, name, name)
    record_checkpoint(storage, stored.uuid, trial.number, "last", path="p", sha256="s", epoch=2)
    save_inner_trials(storage, stored.uuid, trial.number, [InnerTrial(0, THRESHOLDS, PRH(0.1, 0.2, 0.3))])


def all_of(storage, stored, number):
    trial = stored.study.get_trials()[number]
    return (
        trial,
        checkpoint_of(storage, stored.uuid, number, "last"),
        load_inner_trials(storage, stored.uuid, number),
    )


def test_its_number_and_parameters_stay_and_others_keep_everything(storage, stored):
    stored.study.enqueue_trial({"lr": 0.15})
    first, second = stored.study.ask(), stored.study.ask()
    for trial in (first, second):
        fill(storage, stored, trial)
    other = all_of(storage, stored, 1)
    blank_trial(storage, first._trial_id, stored.uuid, 0, user_attrs={"scores", "never set"})
    trial, checkpoint, inner = all_of(storage, stored, 0)
    assert (trial.state, trial.params) == (TrialState.RUNNING, {"lr": 0.15})
    assert trial.intermediate_values == {}
    assert trial.user_attrs == {"config": "config", "mine": "mine"}
    assert set(trial.system_attrs) == {"fixed_params", "dashboard:note", "completedXrungX"}
    assert (checkpoint, inner) == (None, [])
    assert all_of(storage, stored, 1) == other
    again = optuna.Trial(stored.study, first._trial_id)
    again.report(0.25, 1)
    assert stored.study.get_trials()[0].intermediate_values == {1: 0.25}


def test_a_trial_that_has_ended_is_left(storage, stored):
    trial = stored.study.ask()
    fill(storage, stored, trial)
    stored.study.tell(trial, 0.5)
    before = all_of(storage, stored, 0)
    blank_trial(storage, trial._trial_id, stored.uuid, 0, user_attrs={"scores"})
    assert all_of(storage, stored, 0) == before
