"""Pruners by name, tried on trials whose reports are known: a step is an epoch, from 1."""

from __future__ import annotations

import optuna
import pytest

from optdet.store.engine import close_storage, open_storage
from optdet.study_config import PrunerConfig
from optdet.tuning.pruner import build_pruner
from optdet.tuning.pruning import prunes

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


def test_an_epoch_that_is_looked_at_again_after_a_kill_is_decided_as_before(tmp_path):
    """Hyperband notes a rung before it answers, and would go by the next one."""
    storage = open_storage(tmp_path / "optdet.db")
    config = PrunerConfig(name="hyperband", min_epochs=1, eta=2)

    def study_of(name):
        study = optuna.create_study(
            storage=storage, study_name=name, direction="maximize", pruner=build_pruner(config, EPOCHS)
        )
        for value in (0.9, 0.8, 0.7, 0.6):
            trial = study.ask()
            for epoch in range(1, EPOCHS + 1):
                trial.report(value, epoch)
                prunes(storage, trial, epoch)
            study.tell(trial, value)
        return study

    def asked(study, ask):
        """What ``ask`` says of a trial's epochs, twice of each, as after a kill."""
        trial = study.ask()
        answers = []
        for epoch in range(1, EPOCHS + 1):
            trial.report(0.1, epoch)
            answers.append(tuple(ask(optuna.Trial(study, trial._trial_id), epoch) for _ in range(2)))
        return answers

    plain = asked(study_of("study"), lambda trial, _epoch: trial.should_prune())
    assert (True, False) in plain, "Optuna answers alike: the test shows nothing"
    optuna.delete_study(study_name="study", storage=storage)
    ours = asked(study_of("study"), lambda trial, epoch: prunes(storage, trial, epoch))
    assert all(first == second for first, second in ours)
    assert any(first for first, _ in ours)
    close_storage(storage)
