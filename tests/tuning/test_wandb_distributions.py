"""W&B's distributions as ranges and choices: the same values can come, and what is not the same is said."""

from __future__ import annotations

import math
from typing import Any

import pytest

from optdet.errors import OptdetError
from optdet.tuning.wandb_distributions import ReadParameter, read_parameter


def read(**spec: Any) -> ReadParameter:
    return read_parameter(spec, "sweep.yaml: parameters: x")


def dimension(**spec: Any) -> dict[str, Any]:
    found = read(**spec).dimension
    assert found is not None
    return found.model_dump(exclude_defaults=True)


def test_one_value() -> None:
    assert read(value=3) == ReadParameter(None, 3)
    assert read(distribution="constant", value=[1, 2]).value == [1, 2]
    assert read(values=["a"]) == ReadParameter(None, "a")
    assert read(min=0.5, max=0.5) == ReadParameter(None, 0.5)


def test_choices() -> None:
    assert dimension(values=[18, 20, 22]) == {"type": "categorical", "choices": (18, 20, 22)}
    weighted = read(distribution="categorical_w_probabilities", values=[1, 2, 3], probabilities=[0.7, 0.3, 0])
    assert weighted.dimension is not None
    assert weighted.dimension.model_dump()["choices"] == (1, 2)
    assert weighted.notes == (
        "all are equally likely: a study has no weighted choices",
        "1 of probability 0 left out",
    )


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"min": 1, "max": 5}, {"type": "int", "low": 1, "high": 5}),
        ({"min": 0.0, "max": 0.001}, {"type": "float", "low": 0.0, "high": 0.001}),
        ({"min": 0, "max": 0.5}, {"type": "float", "low": 0.0, "high": 0.5}),
        ({"distribution": "uniform", "min": 1, "max": 5}, {"type": "float", "low": 1.0, "high": 5.0}),
        ({"distribution": "int_uniform", "min": 1, "max": 5}, {"type": "int", "low": 1, "high": 5}),
        (
            {"distribution": "q_uniform", "min": 3, "max": 7, "q": 0.5},
            {"type": "float", "low": 3.0, "high": 7.0, "step": 0.5},
        ),
        (
            {"distribution": "q_uniform", "min": 2, "max": 9, "q": 4},
            {"type": "int", "low": 0, "high": 8, "step": 4},
        ),
        (
            {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-2},
            {"type": "float", "low": 1e-4, "high": 1e-2, "log": True},
        ),
        (
            {"distribution": "log_uniform", "min": -8.5, "max": -6.9},
            {"type": "float", "low": 0.000203468, "high": 0.00100779, "log": True},
        ),
        (
            {"distribution": "inv_log_uniform", "min": 6.9, "max": 8.5},
            {"type": "float", "low": 0.000203468, "high": 0.00100779, "log": True},
        ),
        (
            {"distribution": "inv_log_uniform_values", "min": 0.2, "max": 0.5},
            {"type": "float", "low": 0.2, "high": 0.5, "log": True},
        ),
        (
            {"distribution": "q_log_uniform", "min": math.log(32), "max": math.log(256), "q": 1},
            {"type": "int", "low": 32, "high": 256, "log": True},
        ),
        (
            {"distribution": "q_log_uniform_values", "min": 0.1, "max": 10, "q": 0.1},
            {"type": "float", "low": 0.1, "high": 10.0, "log": True},
        ),
        (
            {"distribution": "normal", "mu": 0.24, "sigma": 0.02},
            {"type": "float", "low": 0.2, "high": 0.28},
        ),
        ({"distribution": "q_normal", "mu": 10, "sigma": 2}, {"type": "int", "low": 6, "high": 14}),
        (
            {"distribution": "log_normal", "mu": 0, "sigma": 0.5},
            {"type": "float", "low": 0.367879, "high": 2.71828, "log": True},
        ),
        ({"distribution": "beta", "a": 1, "b": 1}, {"type": "float", "low": 0.025, "high": 0.975}),
        (
            {"distribution": "q_beta", "a": 1, "b": 1, "q": 0.25},
            {"type": "float", "low": 0.0, "high": 1.0, "step": 0.25},
        ),
    ],
)
def test_ranges(spec: dict[str, Any], expected: dict[str, Any]) -> None:
    assert dimension(**spec) == expected


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            {"distribution": "log_uniform", "min": -8.5, "max": -6.9},
            "the ends are exponents: e^-8.5 to e^-6.9",
        ),
        (
            {"distribution": "inv_log_uniform", "min": 6.9, "max": 8.5},
            "the ends are exponents: e^-8.5 to e^-6.9",
        ),
        (
            {"distribution": "inv_log_uniform_values", "min": 0.2, "max": 0.5},
            "log(1/X) uniform is log X uniform",
        ),
        (
            {"distribution": "q_log_uniform_values", "min": 0.1, "max": 10, "q": 0.1},
            "not rounded to 0.1: a log range has no steps",
        ),
        (
            {"distribution": "normal", "mu": 0.24, "sigma": 0.02},
            "normal, mu 0.24, sigma 0.02: its middle 95 % (two sigmas), every value equally likely",
        ),
        (
            {"distribution": "beta", "a": 2, "b": 5},
            "beta, a 2, b 5: its middle 95 %, every value equally likely",
        ),
        ({"distribution": "q_uniform", "min": 2, "max": 9, "q": 4}, "multiples of 4"),
    ],
)
def test_decisions_are_said(spec: dict[str, Any], said: str) -> None:
    assert said in read(**spec).notes


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "neither value, values, min and max"),
        ({"distribution": "triangular"}, "'triangular' is no distribution of W&B; there are constant"),
        ({"distribution": "uniform", "min": 1}, "it has no `max`"),
        ({"min": 2, "max": 1}, "min 2 is above max 1"),
        ({"min": "a", "max": 1}, "`min` is 'a', not a number"),
        ({"min": True, "max": 2.0}, "`min` is True"),
        ({"min": 10**400, "max": 10**401}, "not a number"),
        ({"distribution": "int_uniform", "min": 0.5, "max": 2}, "whole numbers"),
        ({"values": []}, "a list of one value or more"),
        ({"values": [[1, 2], [3]]}, "choices"),
        ({"values": [1, 2], "probabilities": [1]}, "`probabilities` needs 2 numbers"),
        ({"values": [1, 2], "probabilities": [0, 0]}, "every probability is 0"),
        ({"distribution": "log_uniform_values", "min": 0, "max": 1}, "a logarithm of 0"),
        ({"distribution": "log_uniform", "min": 0, "max": 5000}, r"e\^5000 is no number to search"),
        ({"distribution": "normal", "sigma": 0}, "sigma is 0"),
        ({"distribution": "beta", "a": 0}, "above 0"),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0}, "q is 0"),
    ],
)
def test_what_cannot_be(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(OptdetError, match=message) as refusal:
        read(**spec)
    assert str(refusal.value).startswith("sweep.yaml: parameters: x")
