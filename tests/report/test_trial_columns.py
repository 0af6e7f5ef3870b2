"""Trials as columns: what is known, rounded, and in order."""

from __future__ import annotations

import math

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from optdet.report.importance import importances
from optdet.report.trial_columns import MAX_CURVES, axes, curves, rounded, trial_columns, value_of
from optdet.search_space import Choice, FloatRange

SPACE = {
    "optimizer.lr": FloatRange(type="float", low=1e-4, high=1e-1, log=True),
    "loss.negative_ratio": Choice(type="categorical", choices=(2, 3, 5)),
    "train.epochs": FloatRange(type="float", low=1, high=9),
}
LR = FloatDistribution(1e-4, 1e-1, log=True)
RATIO = CategoricalDistribution((2, 3, 5))


def a_trial(number, value=0.5, *, state="COMPLETE", reports=(0.1,), lr=0.01, ratio=3, attributes=None):
    trial = optuna.trial.create_trial(
        params={"optimizer.lr": lr, "loss.negative_ratio": ratio},
        distributions={"optimizer.lr": LR, "loss.negative_ratio": RATIO},
        value=value,
        state=optuna.trial.TrialState[state],
        intermediate_values=dict(enumerate(reports, start=1)),
        user_attrs=attributes or {},
    )
    trial.number = number
    return trial


def thresholds(thresh):
    return {"thresholds": {"thresh": thresh, "box_thresh": 0.5, "unclip_ratio": 1.5}}


def test_a_trial_has_the_value_that_it_ended_with():
    assert value_of(a_trial(0, 0.512345678912)) == 0.512345679
    assert value_of(a_trial(0, 0.4, state="PRUNED")) == 0.4
    assert value_of(a_trial(0, None, state="FAIL")) is None
    running = a_trial(0, None, state="RUNNING")
    assert value_of(running) is None
    columns = trial_columns([a_trial(3, reports=(0.1, 0.2)), running])
    assert columns["state"] == ["complete", "running"]
    assert columns["epochs"] == [2, 1]
    assert columns["crossfit"] == [None, None]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "text"])
def test_what_is_not_finite_is_left_out(value):
    assert rounded(value) is None


def test_axes_are_the_space_and_the_tuned_thresholds_as_far_as_they_vary():
    trials = [a_trial(0, lr=0.01, ratio=5, attributes=thresholds(0.3)), a_trial(1, lr=0.02, ratio=2)]
    trials.append(a_trial(2, attributes=thresholds(0.4)))
    found = {axis.name: axis for axis in axes(trials, SPACE)}
    assert list(found) == ["optimizer.lr", "loss.negative_ratio", "thresh"]
    assert found["loss.negative_ratio"].choices == ("2", "3", "5")
    assert found["loss.negative_ratio"].values == [2, 0, 1]
    assert found["thresh"].values == [0.3, None, 0.4]
    assert found["thresh"].is_tuned
    assert found["optimizer.lr"].is_log


def test_of_many_curves_the_best_and_the_newest_are_drawn():
    trials = [
        a_trial(number, number / 1000, state="COMPLETE" if number % 2 else "PRUNED") for number in range(900)
    ]
    drawn = curves(trials)
    numbers = [each["number"] for each in drawn]
    assert len(drawn) == MAX_CURVES
    assert numbers == sorted(numbers)
    assert {899, 898, 897} <= set(numbers)
    few = [a_trial(0, reports=(0.2, 0.3)), a_trial(1, None, state="FAIL", reports=())]
    assert curves(few) == [{"number": 0, "state": "complete", "epochs": [1, 2], "values": [0.2, 0.3]}]


def test_importances_find_the_axis_that_matters():
    trials = [
        a_trial(n, 0.9 - abs(0.3 + 0.01 * n - 0.5), lr=0.001 * (1 + (7 * n) % 10), ratio=(2, 3, 5)[n % 3],
                attributes=thresholds(0.3 + 0.01 * n))
        for n in range(40)
    ]  # fmt: skip
    found = importances(trial_columns(trials)["value"], axes(trials, SPACE))
    assert found[0]["name"] == "thresh"
    assert found[0]["tuned"]
    assert sum(each["importance"] for each in found) == pytest.approx(1, abs=1e-3)
    values = trial_columns(trials)["value"]
    assert importances(values[:5], axes(trials[:5], SPACE)) == []
    assert importances([0.5] * 40, axes(trials, SPACE)) == []


def test_a_score_is_rounded_once():
    """The table shows four digits, as every other place does."""
    assert f"{rounded(0.96295016):.4f}" == f"{0.96295016:.4f}" == "0.9630"
