"""Ranges of a study file as Optuna distributions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optdet.config import TuneConfig
from optdet.search_space import Dimension


def space_of(tune: TuneConfig) -> dict[str, Dimension]:
    """The inner loop's space by the names of its thresholds."""
    return tune.space.dimensions


def distribution(dimension: Dimension) -> BaseDistribution:
    if dimension.type == "categorical":
        return CategoricalDistribution(dimension.choices)
    if dimension.type == "int":
        return IntDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step)


def distributions(space: Mapping[str, Dimension]) -> dict[str, BaseDistribution]:
    return {name: distribution(dimension) for name, dimension in space.items()}


def suggest(trial: optuna.Trial, space: Mapping[str, Dimension]) -> dict[str, Any]:
    """A value for every name, in the file's order; those that the trial has already are kept.

    All are drawn before anything else happens: a trial that is cut off later has all of them stored.
    """
    with warnings.catch_warnings():
        # A queued value may lie outside its range: Optuna takes it, and warns.
        warnings.filterwarnings("ignore", message="Fixed parameter")
        return {name: _suggest(trial, name, dimension) for name, dimension in space.items()}


def _suggest(trial: optuna.Trial, name: str, dimension: Dimension) -> Any:
    if dimension.type == "categorical":
        return trial.suggest_categorical(name, dimension.choices)
    if dimension.type == "int":
        return trial.suggest_int(name, dimension.low, dimension.high, log=dimension.log, step=dimension.step)
    return trial.suggest_float(name, dimension.low, dimension.high, log=dimension.log, step=dimension.step)


def is_inside(space: Mapping[str, Dimension], params: Mapping[str, Any]) -> bool:
    """Whether every value is one that its distribution could give."""
    for name, value in params.items():
        own = distribution(space[name])
        try:
            if not own._contains(own.to_internal_repr(value)):
                return False
        except ValueError:
            return False
    return True
