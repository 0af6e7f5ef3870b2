"""Trials that are read at once are those that Optuna reads, in all that they hold."""

from __future__ import annotations

import math
from datetime import datetime

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from optdet.store.engine import read_transaction
from optdet.store.optuna_tables import optuna_tables
from optdet.store.trial_reading import read_trials

SPACE = {
    "b": FloatDistribution(1e-5, 1e-2, log=True),
    "a": IntDistribution(2, 16, step=2),
    "kind": CategoricalDistribution(("adam", None, True, 3)),
}


@pytest.fixture
def study(stored):
    """One trial of each kind, and another study's beside them."""
    study = stored.study
    trial = study.ask()  # at work
    trial.suggest_float("x", 0, 1)
    trial.report(math.nan, 3)
    trial.report(-math.inf, 1)
    trial.report(math.inf, 2)
    study.add_trial(
        create_trial(
            value=0.1 + 0.2,
            params={"b": 0.00123, "a": 4, "kind": None},
            distributions=SPACE,
            user_attrs={"z": [1, {"한글": "값"}], "a": None, "long": "x" * 5000},
            system_attrs={"fixed_params": {"a": 4}},
            intermediate_values={2: 0.5, 1: 1 / 3},
        )
    )
    study.add_trial(create_trial(state=TrialState.PRUNED, value=-math.inf, intermediate_values={1: 0.25}))
    study.add_trial(create_trial(state=TrialState.FAIL))
    study.tell(study.ask(), 0.75)
    study.enqueue_trial({"b": 0.001}, user_attrs={"why": "queued"})
    return study


def read(storage, study_id, **which):
    with read_transaction(storage.engine) as connection:
        return read_trials(connection, optuna_tables(connection), study_id, **which)


def as_told(trial):
    """All that a trial holds; NaN is equal to NaN, and parameters are in their order."""
    reports = sorted((step, repr(value)) for step, value in trial.intermediate_values.items())
    return vars(trial) | {"intermediate_values": reports, "_params": list(trial.params.items())}


def test_they_are_what_optuna_reads(storage, study):
    expected = [as_told(trial) for trial in storage.get_all_trials(study._study_id, deepcopy=False)]
    found = read(storage, study._study_id, newer_than=-1, others=())
    assert [as_told(trial) for trial in found] == expected
    assert [trial.state for trial in found] == [
        TrialState.RUNNING,
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.FAIL,
        TrialState.COMPLETE,
        TrialState.WAITING,
    ]
    assert isinstance(found[1].datetime_start, datetime)


def test_only_those_that_are_asked_for_are_read(storage, study):
    ids = [trial._trial_id for trial in storage.get_all_trials(study._study_id, deepcopy=False)]
    found = read(storage, study._study_id, newer_than=ids[3], others=[ids[0], ids[1]])
    assert [trial._trial_id for trial in found] == [ids[0], ids[1], ids[4], ids[5]]
    assert found[1].params == {"b": 0.00123, "a": 4, "kind": None}
    assert read(storage, study._study_id, newer_than=ids[-1], others=()) == []


def test_another_studys_are_not_read(storage, study):
    assert read(storage, study._study_id + 1000, newer_than=-1, others=()) == []
