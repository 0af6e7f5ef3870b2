"""The distributions of a W&B sweep's parameters as ranges and choices of a study.

What W&B draws from is in its reference of sweep configurations. A study has no normal or beta distribution,
no weighted choice and no steps on a log scale: each of these becomes what is nearest, and ``notes`` say what.
``log_uniform`` and its like have exponents of e for ends, those that end in ``_values`` have the values;
``inv_log_uniform`` draws X so that log(1/X) is uniform, which for given ends is the same as log X uniform.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optdet.errors import OptdetError
from optdet.search_space import Choice, Dimension, FloatRange, IntRange
from optdet.validation import validate

_SIGMAS = 2.0
"""A normal distribution becomes a range of so many standard deviations to either side: 95 % of it."""
_TAIL = 0.025
"""What is left out at either end of a beta distribution."""


@dataclass(frozen=True, slots=True)
class ReadParameter:
    """A range or choices, or, where ``dimension`` is None, the one ``value``; ``notes`` are decisions."""

    dimension: Dimension | None
    value: Any = None
    notes: tuple[str, ...] = ()


def read_parameter(spec: Mapping[str, Any], where: str) -> ReadParameter:
    """A parameter as a sweep file has it; OptdetError for one that W&B would refuse too."""
    kind = _kind(spec, where)
    reader = _READERS.get(kind)
    if reader is None:
        raise OptdetError(
            f"{kind!r} is no distribution of W&B", where=where, fix=f"there are {', '.join(_READERS)}"
        )
    for value in (spec.get("value"), *(_listed(spec.get("values")))):
        if type(value) in (int, float) and not _is_number(value):
            raise OptdetError("a value is no number that can be searched", where=where)
    return reader(spec, where)


def _listed(values: Any) -> list[Any]:
    return values if isinstance(values, list) else []


def _kind(spec: Mapping[str, Any], where: str) -> str:
    """As W&B infers it where it is not said."""
    given = spec.get("distribution")
    if given is not None:
        return str(given)
    if "value" in spec:
        return "constant"
    if "values" in spec:
        return "categorical"
    if "min" in spec and "max" in spec:
        whole = all(type(spec[end]) is int for end in ("min", "max"))
        return "int_uniform" if whole else "uniform"
    raise OptdetError(
        "neither value, values, min and max, nor a distribution", where=where, fix="see W&B's sweep reference"
    )


def _constant(spec: Mapping[str, Any], where: str) -> ReadParameter:
    if "value" not in spec:
        raise OptdetError("a constant needs `value`", where=where)
    return ReadParameter(None, spec["value"])


def _categorical(spec: Mapping[str, Any], where: str) -> ReadParameter:
    values, weights = spec.get("values"), spec.get("probabilities")
    if not isinstance(values, list) or not values:
        raise OptdetError("`values` is a list of one value or more", where=where)
    notes: list[str] = []
    if weights is not None:
        if not isinstance(weights, list) or len(weights) != len(values) or not all(map(_is_number, weights)):
            raise OptdetError(f"`probabilities` needs {len(values)} numbers, one a value", where=where)
        dropped = sum(weight <= 0 for weight in weights)
        values = [value for value, weight in zip(values, weights, strict=True) if weight > 0]
        if not values:
            raise OptdetError("every probability is 0", where=where)
        notes.append("all are equally likely: a study has no weighted choices")
        notes += [f"{dropped} of probability 0 left out"] if dropped else []
    if len(values) == 1:
        return ReadParameter(None, values[0], tuple(notes))
    return ReadParameter(_dimension(Choice, where, type="categorical", choices=values), notes=tuple(notes))


def _uniform(spec: Mapping[str, Any], where: str) -> ReadParameter:
    return _range(*_ends(spec, where), where)


def _int_uniform(spec: Mapping[str, Any], where: str) -> ReadParameter:
    low, high = _ends(spec, where)
    if low != int(low) or high != int(high):
        raise OptdetError("int_uniform has whole numbers for its ends", where=where)
    return _range(low, high, where, step=1.0)


def _q_uniform(spec: Mapping[str, Any], where: str) -> ReadParameter:
    return _quantised(*_ends(spec, where), _quantum(spec, where), where)


def _log(
    *, exponents: bool, inverse: bool, quantised: bool
) -> Callable[[Mapping[str, Any], str], ReadParameter]:
    def read(spec: Mapping[str, Any], where: str) -> ReadParameter:
        low, high = _ends(spec, where)
        notes = []
        if exponents:
            low, high = (-high, -low) if inverse else (low, high)
            notes.append(f"the ends are exponents: e^{low:g} to e^{high:g}")
            low, high = _exponential(low, where), _exponential(high, where)
        elif low <= 0:
            raise OptdetError(f"a logarithm of {low:g}", where=where, fix="give a `min` above 0")
        if inverse and not exponents:
            notes.append("log(1/X) uniform is log X uniform")
        return _log_range(low, high, _quantum(spec, where) if quantised else None, notes, where)

    return read


def _log_range(low: float, high: float, quantum: float | None, notes: list[str], where: str) -> ReadParameter:
    if quantum == 1 and round(low) >= 1:
        return _range(round(low), round(high), where, step=1.0, log=True, notes=notes)
    if quantum is not None:
        notes.append(f"not rounded to {quantum:g}: a log range has no steps")
    return _range(low, high, where, log=True, notes=notes)


def _normal(*, logarithmic: bool, quantised: bool) -> Callable[[Mapping[str, Any], str], ReadParameter]:
    def read(spec: Mapping[str, Any], where: str) -> ReadParameter:
        mu, sigma = (_number(spec.get(key, usual), key, where) for key, usual in (("mu", 0), ("sigma", 1)))
        if sigma <= 0:
            raise OptdetError(f"sigma is {sigma:g}", where=where, fix="give one above 0")
        low, high = mu - _SIGMAS * sigma, mu + _SIGMAS * sigma
        shape = "log-normal" if logarithmic else "normal"
        note = (
            f"{shape}, mu {mu:g}, sigma {sigma:g}: its middle 95 % (two sigmas), every value equally likely"
        )
        quantum = _quantum(spec, where) if quantised else None
        if logarithmic:
            return _log_range(_exponential(low, where), _exponential(high, where), quantum, [note], where)
        return (
            _range(low, high, where, notes=[note])
            if quantum is None
            else _quantised(low, high, quantum, where, [note])
        )

    return read


def _beta(*, quantised: bool) -> Callable[[Mapping[str, Any], str], ReadParameter]:
    def read(spec: Mapping[str, Any], where: str) -> ReadParameter:
        # Not above: it is hardly ever asked for.
        from scipy.special import betaincinv

        a, b = (_number(spec.get(key, 1), key, where) for key in ("a", "b"))
        if a <= 0 or b <= 0:
            raise OptdetError("a and b of a beta distribution are above 0", where=where)
        low, high = (float(betaincinv(a, b, share)) for share in (_TAIL, 1 - _TAIL))
        note = f"beta, a {a:g}, b {b:g}: its middle 95 %, every value equally likely"
        if quantised:
            return _quantised(low, high, _quantum(spec, where), where, [note])
        return _range(low, high, where, notes=[note])

    return read


_READERS: Mapping[str, Callable[[Mapping[str, Any], str], ReadParameter]] = {
    "constant": _constant,
    "categorical": _categorical,
    "categorical_w_probabilities": _categorical,
    "int_uniform": _int_uniform,
    "uniform": _uniform,
    "q_uniform": _q_uniform,
    "log_uniform": _log(exponents=True, inverse=False, quantised=False),
    "log_uniform_values": _log(exponents=False, inverse=False, quantised=False),
    "q_log_uniform": _log(exponents=True, inverse=False, quantised=True),
    "q_log_uniform_values": _log(exponents=False, inverse=False, quantised=True),
    "inv_log_uniform": _log(exponents=True, inverse=True, quantised=False),
    "inv_log_uniform_values": _log(exponents=False, inverse=True, quantised=False),
    "normal": _normal(logarithmic=False, quantised=False),
    "q_normal": _normal(logarithmic=False, quantised=True),
    "log_normal": _normal(logarithmic=True, quantised=False),
    "q_log_normal": _normal(logarithmic=True, quantised=True),
    "beta": _beta(quantised=False),
    "q_beta": _beta(quantised=True),
}


def _quantised(
    low: float, high: float, quantum: float, where: str, notes: Sequence[str] = ()
) -> ReadParameter:
    """Multiples of ``quantum``: W&B rounds what it draws, so the ends are those that the ends round to."""
    ends = [round(end / quantum) * quantum for end in (low, high)]
    ends = [end if float(end).is_integer() else _shortened(end) for end in ends]
    said = [] if ends == [low, high] else [f"multiples of {quantum:g}"]
    return _range(ends[0], ends[1], where, step=quantum, notes=[*notes, *said])


def _range(
    low: float,
    high: float,
    where: str,
    *,
    step: float | None = None,
    log: bool = False,
    notes: Sequence[str] = (),
) -> ReadParameter:
    """A range, in whole numbers where it has a whole step and whole ends; of one value that value."""
    whole = step is not None and all(value == int(value) for value in (low, high, step))
    ends: tuple[float, float] = (int(low), int(high)) if whole else (_shortened(low), _shortened(high))
    if ends[0] == ends[1]:
        return ReadParameter(None, ends[0], tuple(notes))
    if whole and step is not None:
        settings = {"type": "int", "low": ends[0], "high": ends[1], "step": int(step), "log": log}
        return ReadParameter(_dimension(IntRange, where, **settings), notes=tuple(notes))
    settings = {"type": "float", "low": ends[0], "high": ends[1], "step": step, "log": log}
    return ReadParameter(_dimension(FloatRange, where, **settings), notes=tuple(notes))


def _dimension(
    kind: type[Choice] | type[FloatRange] | type[IntRange], where: str, **settings: Any
) -> Dimension:
    return validate(kind, settings, where)


def _ends(spec: Mapping[str, Any], where: str) -> tuple[float, float]:
    for key in ("min", "max"):
        if key not in spec:
            raise OptdetError(f"it has no `{key}`", where=where)
    low, high = (_number(spec[key], key, where) for key in ("min", "max"))
    if low > high:
        raise OptdetError(f"min {low:g} is above max {high:g}", where=where)
    return low, high


def _quantum(spec: Mapping[str, Any], where: str) -> float:
    quantum = _number(spec.get("q", 1), "q", where)
    if quantum <= 0:
        raise OptdetError(f"q is {quantum:g}", where=where, fix="give one above 0")
    return quantum


def _number(value: Any, key: str, where: str) -> float:
    if not _is_number(value):
        raise OptdetError(f"`{key}` is {value!r}, not a number", where=where)
    return float(value)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= _LARGEST


_LARGEST = 1e300  # also of integers, which may be of any length


def _exponential(exponent: float, where: str) -> float:
    if abs(exponent) > math.log(_LARGEST):
        raise OptdetError(f"e^{exponent:g} is no number to search", where=where)
    return math.exp(exponent)


def _shortened(value: float) -> float:
    """Six digits, as people write them."""
    return float(f"{value:.6g}")
