"""Ranges as distributions, and suggestions that a restarted trial gets again."""

from __future__ import annotations

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from optdet.search_space import Choice, FloatRange, IntRange
from optdet.tuning.space import distributions, is_inside, suggest

SPACE = {
    "lr": FloatRange(type="float", low=1e-4, high=1e-2, log=True),
    "thresh": FloatRange(type="float", low=0.1, high=0.5, step=0.1),
    "epochs": IntRange(type="int", low=2, high=10, step=4),
    "name": Choice(type="categorical", choices=("adam", None, True)),
}


def test_distributions_say_what_the_ranges_say():
    assert distributions(SPACE) == {
        "lr": FloatDistribution(1e-4, 1e-2, log=True),
        "thresh": FloatDistribution(0.1, 0.5, step=0.1),
        "epochs": IntDistribution(2, 10, step=4),
        "name": CategoricalDistribution(("adam", None, True)),
    }


def test_every_name_is_suggested_in_order_from_its_distribution():
    study = optuna.create_study()
    for _ in range(20):
        trial = study.ask()
        params = suggest(trial, SPACE)
        assert list(params) == list(SPACE)
        assert is_inside(SPACE, params)
        assert params == trial.params
        assert trial.distributions == distributions(SPACE)
        study.tell(trial, 0.0)


def test_values_that_a_trial_has_are_kept():
    study = optuna.create_study()
    trial = study.ask()
    trial.suggest_float("lr", 1e-4, 1e-2, log=True)
    before = dict(trial.params)
    again = optuna.Trial(study, trial._trial_id)
    assert suggest(again, SPACE)["lr"] == before["lr"]


@pytest.mark.parametrize(
    ("params", "inside"),
    [
        ({"lr": 1e-3}, True),
        ({"lr": 0.1}, False),
        ({"thresh": 0.1 + 0.2}, True),
        ({"thresh": 0.25}, False),
        ({"epochs": 6}, True),
        ({"epochs": 7}, False),
        ({"name": None}, True),
        ({"name": "adamw"}, False),
        ({"lr": 1e-3, "name": "adamw"}, False),
        ({}, True),
    ],
)
def test_inside(params, inside):
    assert is_inside(SPACE, params) is inside
