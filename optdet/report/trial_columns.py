"""The trials of a study as columns of plain values: what the page's charts and its table are drawn from.

Columns have one entry a trial, in order of number. Values, precision, recall and thresholds are 0..1 but
``unclip_ratio``; what a trial does not have is None. Floats are rounded to nine significant digits, which no
picture can show and no table prints.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from optuna.trial import FrozenTrial, TrialState

from optdet.search_space import Choice, Dimension
from optdet.tuning import attributes as attr

TUNED: Final = ("thresh", "box_thresh", "unclip_ratio")
"""Tuned thresholds that stand among a trial's parameters."""
MAX_CURVES: Final = 150
"""Curves that are drawn: more are a blot, and slow."""

Column = list[Any]


@dataclass(frozen=True, slots=True)
class Axis:
    """A parameter, or a tuned threshold (``is_tuned``). ``choices`` are those of a categorical one, as text;
    ``values`` are then their places in it."""

    name: str
    values: Column
    is_log: bool = False
    is_tuned: bool = False
    choices: tuple[str, ...] | None = None

    def as_json(self, short: str) -> dict[str, Any]:
        """``short`` is a name for narrow places."""
        return {
            "name": self.name,
            "short": short,
            "values": self.values,
            "log": self.is_log,
            "tuned": self.is_tuned,
            "choices": None if self.choices is None else list(self.choices),
        }


def trial_columns(trials: Sequence[FrozenTrial]) -> dict[str, Column]:
    """What every trial has, whatever is searched."""
    return {
        "number": [trial.number for trial in trials],
        "state": [trial.state.name.lower() for trial in trials],
        "value": [value_of(trial) for trial in trials],
        "crossfit": _attributes(trials, attr.CROSSFIT),
        "precision": _attributes(trials, attr.PRECISION),
        "recall": _attributes(trials, attr.RECALL),
        "epochs": [max(trial.intermediate_values, default=0) for trial in trials],
        "seconds": _attributes(trials, attr.SECONDS),
        "failure": [trial.user_attrs.get(attr.FAILURE) for trial in trials],
    }


def value_of(trial: FrozenTrial) -> float | None:
    """Of a complete trial its value, of a pruned one its last report; None of others, and for what is not
    finite."""
    if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED):
        return None
    return rounded(trial.values[0] if trial.values else None)


def axes(trials: Sequence[FrozenTrial], space: dict[str, Dimension]) -> list[Axis]:
    """The parameters of the space, then the tuned thresholds; those that are the same everywhere are left
    out."""
    found = [_axis(name, dimension, trials) for name, dimension in space.items()]
    tuned = [_thresholds(trials, name) for name in TUNED]
    return [axis for axis in (*found, *tuned) if len(set(axis.values) - {None}) > 1]


def _axis(name: str, dimension: Dimension, trials: Sequence[FrozenTrial]) -> Axis:
    given = [params_of(trial).get(name) for trial in trials]
    if not isinstance(dimension, Choice):
        return Axis(name, [rounded(value) for value in given], is_log=dimension.log)
    choices = tuple(str(choice) for choice in dimension.choices)
    places: Column = [choices.index(str(value)) if str(value) in choices else None for value in given]
    return Axis(name, places, choices=choices)


def params_of(trial: FrozenTrial) -> dict[str, Any]:
    """Its parameters; of one that waits in the queue those that it was queued with."""
    return trial.params or dict(trial.system_attrs.get("fixed_params", {}))


def _thresholds(trials: Sequence[FrozenTrial], name: str) -> Axis:
    stored = [trial.user_attrs.get(attr.THRESHOLDS) for trial in trials]
    return Axis(name, [None if each is None else rounded(each[name]) for each in stored], is_tuned=True)


def threshold_columns(trials: Sequence[FrozenTrial]) -> dict[str, Column]:
    """Tuned thresholds by name, those that any trial has, also where they are the same everywhere."""
    stored = [trial.user_attrs.get(attr.THRESHOLDS) or {} for trial in trials]
    names = (*TUNED, "use_polygon")
    columns = {name: [_shown(each.get(name)) for each in stored] for name in names}
    return {name: values for name, values in columns.items() if any(value is not None for value in values)}


def _shown(value: Any) -> Any:
    return value if isinstance(value, bool) else rounded(value)


def _attributes(trials: Sequence[FrozenTrial], name: str) -> Column:
    return [rounded(trial.user_attrs.get(name)) for trial in trials]


def rounded(value: Any) -> float | None:
    """To nine significant digits; None for what is not finite."""
    if value is None or isinstance(value, str) or not math.isfinite(value):
        return None
    return float(f"{float(value):.9g}")


def curves(trials: Sequence[FrozenTrial]) -> list[dict[str, Any]]:
    """Scores by epoch of at most ``MAX_CURVES`` trials: half of them the best complete ones, a quarter the
    best and a quarter the newest of the others; by number."""
    with_reports = [trial for trial in trials if trial.intermediate_values]
    if len(with_reports) > MAX_CURVES:
        ranked = sorted(with_reports, key=_rank)
        complete = [trial for trial in ranked if trial.state == TrialState.COMPLETE][: MAX_CURVES // 2]
        others = [trial for trial in ranked if trial.state != TrialState.COMPLETE]
        newest = sorted(with_reports, key=lambda trial: -trial.number)
        with_reports = _first((*complete, *others[: MAX_CURVES // 4], *newest), MAX_CURVES)
    return [
        {
            "number": trial.number,
            "state": trial.state.name.lower(),
            "epochs": [int(epoch) for epoch in sorted(trial.intermediate_values)],
            "values": [rounded(trial.intermediate_values[e]) for e in sorted(trial.intermediate_values)],
        }
        for trial in sorted(with_reports, key=lambda trial: trial.number)
    ]


def _rank(trial: FrozenTrial) -> tuple[float, int]:
    value = value_of(trial)
    return (math.inf if value is None else -value, trial.number)


def _first(trials: Iterable[FrozenTrial], n: int) -> list[FrozenTrial]:
    """The first ``n``, each once."""
    return list({trial.number: trial for trial in trials}.values())[:n]
