"""How much of the spread between trials goes with each parameter, the tuned thresholds among them.

PED-ANOVA (Watanabe, Bansal, Hutter: "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in
Arbitrary Subspaces", 2023), as Optuna computes it: how the best tenth of the trials is spread over an axis
beside all of them. Importances are parts of 1. They say what went together, not what would help: of few
trials, or of a sampler that has closed in on a place, little.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Final

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from optdet.report.trial_columns import Axis, Column

MIN_TRIALS: Final = 8
"""Complete trials below which nothing is said."""


def importances(values: Column, axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """``name``, ``importance`` and ``tuned`` of each axis, the largest first; none where fewer than
    ``MIN_TRIALS`` trials have a value on every axis, or all have the same.

    ``values`` are those of complete trials, None for others.
    """
    rows = [
        (value, [axis.values[index] for axis in axes])
        for index, value in enumerate(values)
        if value is not None and all(axis.values[index] is not None for axis in axes)
    ]
    used = [place for place, axis in enumerate(axes) if len({row[1][place] for row in rows}) > 1]
    if len(rows) < MIN_TRIALS or not used or len({value for value, _ in rows}) < 2:
        return []
    shown = [axes[place] for place in used]
    distributions = {
        axis.name: _distribution(axis, [row[1][place] for row in rows])
        for place, axis in zip(used, shown, strict=True)
    }
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        optuna.create_trial(
            params={axis.name: _param(axis, of[place]) for place, axis in zip(used, shown, strict=True)},
            distributions=distributions,
            value=value,
        )
        for value, of in rows
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        found = optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
        )
    tuned = {axis.name for axis in shown if axis.is_tuned}
    return [
        {"name": name, "importance": float(f"{share:.4g}"), "tuned": name in tuned}
        for name, share in sorted(found.items(), key=lambda item: (-item[1], item[0]))
    ]


def _distribution(axis: Axis, values: Sequence[Any]) -> BaseDistribution:
    if axis.choices is not None:
        return CategoricalDistribution(axis.choices)
    return FloatDistribution(min(values), max(values), log=axis.is_log and min(values) > 0)


def _param(axis: Axis, value: Any) -> Any:
    return value if axis.choices is None else axis.choices[value]
