"""Pruners by name, tried on trials whose reports are known: a step is an epoch, from 1."""

from __future__ import annotations

import optuna
import pytest

from optdet.study_config import PrunerConfig
from optdet.tuning.pruner import build_pruner

EPOCHS = 8


def study_with(config, *constant, epochs=EPOCHS):
    """A study with complete trials, each of the same report in every epoch."""
    study = optuna.create_study(direction="maximize", pruner=build_pruner(config, epochs))
    for value in constant:
        trial = study.ask()
        for epoch in range(1, epochs + 1):
            trial.report(value, epoch)
        study.tell(trial, value)
    return study


def pruned_at(study, value, *, epochs=EPOCHS):
    """The epoch after which a trial of constant reports is pruned; None where it never is."""
    trial = study.ask()
    for epoch in range(1, epochs + 1):
        trial.report(value, epoch)
        if trial.should_prune():
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return epoch
    study.tell(trial, value)
    return None


@pytest.mark.parametrize("name", ["median", "percentile"])
@pytest.mark.parametrize("warmup", [0, 1, 3])
def test_no_trial_is_pruned_in_its_warmup_epochs_and_a_hopeless_one_right_after(name, warmup):
    study = study_with(PrunerConfig(name=name, n_startup_trials=1, n_warmup_epochs=warmup), 0.9)
    assert pruned_at(study, 0.0) == warmup + 1


@pytest.mark.parametrize("name", ["median", "percentile"])
def test_startup_trials_come_first(name):
    config = PrunerConfig(name=name, n_startup_trials=2, n_warmup_epochs=0)
    assert pruned_at(study_with(config, 0.9), 0.0) is None
    assert pruned_at(study_with(config, 0.9, 0.9), 0.0) == 1


def test_median():
    config = PrunerConfig(name="median", n_startup_trials=1, n_warmup_epochs=0)
    assert pruned_at(study_with(config, 0.2, 0.4, 0.6), 0.45) is None
    assert pruned_at(study_with(config, 0.2, 0.4, 0.6), 0.35) == 1


def test_percentile_is_the_share_that_is_kept():
    values = (0.2, 0.4, 0.6, 0.8)
    strict, lenient = (
        PrunerConfig(name="percentile", n_startup_trials=1, n_warmup_epochs=0, percentile=percent)
        for percent in (25.0, 75.0)
    )
    assert pruned_at(study_with(strict, *values), 0.5) == 1
    assert pruned_at(study_with(lenient, *values), 0.5) is None
    assert pruned_at(study_with(strict, *values), 0.9) is None


@pytest.mark.parametrize(("eta", "rungs"), [(2, {2, 4, 8}), (4, {2, 8})])
def test_hyperband_prunes_at_its_rungs_only(eta, rungs):
    """Every trial gets min_epochs; the next look at it is after eta times as many."""
    config = PrunerConfig(name="hyperband", min_epochs=2, eta=eta)
    study = study_with(config)
    epochs = [pruned_at(study, 1.0 - number / 100) for number in range(40)]
    assert set(epochs) - {None} == rungs


def test_hyperband_with_fewer_epochs_than_its_minimum_prunes_nothing():
    study = study_with(PrunerConfig(name="hyperband", min_epochs=8), epochs=3)
    assert {pruned_at(study, 1.0 - number / 100, epochs=3) for number in range(12)} == {None}


def test_none():
    assert pruned_at(study_with(PrunerConfig(name="none"), 0.9, 0.9), 0.0) is None
