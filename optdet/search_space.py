"""What may be searched: ranges and choices, and the space of post-processing thresholds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from optdet.section import Positive, Section
from optdet.structures import Thresholds


class FloatRange(Section):
    """A float to search, on a grid of ``step`` from ``low`` where given."""

    type: Literal["float"]
    low: float
    high: float
    log: bool = False
    step: Positive | None = None

    @model_validator(mode="after")
    def _sound(self) -> FloatRange:
        _check_bounds(self.low, self.high, self.step, log=self.log)
        if self.log and self.step is not None:
            raise ValueError("log and step cannot be combined")
        return self


class IntRange(Section):
    """An integer to search."""

    type: Literal["int"]
    low: int
    high: int
    log: bool = False
    step: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _sound(self) -> IntRange:
        _check_bounds(self.low, self.high, self.step, log=self.log)
        if self.log and self.step != 1:
            raise ValueError("log and step cannot be combined")
        return self


class Choice(Section):
    """One of a few values, without an order."""

    type: Literal["categorical"]
    choices: Annotated[tuple[bool | int | float | str | None, ...], Field(min_length=1)]


def _check_bounds(low: float, high: float, step: float | None, *, log: bool) -> None:
    if low > high:
        raise ValueError(f"low {low} is above high {high}")
    if low < high and (step or 0) > (high - low) * (1 + 1e-9):
        raise ValueError(f"the step {step} is wider than the range of {low} to {high}")
    if log and low <= 0:
        raise ValueError(f"a log range needs low > 0, not {low}")


Dimension = Annotated[FloatRange | IntRange | Choice, Field(discriminator="type")]


def _wide(low: float, high: float, step: float) -> FloatRange:
    return FloatRange(type="float", low=low, high=high, step=step)


def _searched(is_sound: Callable[[Any], bool], expected: str) -> AfterValidator:
    """Of a dimension: every value is sound, and a range has a width."""

    def check(dimension: Dimension) -> Dimension:
        if isinstance(dimension, Choice):
            values: tuple[Any, ...] = dimension.choices
        else:
            values = (dimension.low, dimension.high)
        for value in values:
            if not is_sound(value):
                raise ValueError(f"{value!r} is not {expected}")
        if not isinstance(dimension, Choice) and dimension.low == dimension.high:
            one = f"{{type: categorical, choices: [{dimension.low:g}]}}"
            raise ValueError(f"a range of {dimension.low:g} to {dimension.high:g} has no width; write {one}")
        return dimension

    return AfterValidator(check)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_Probability = Annotated[
    Dimension, _searched(lambda value: _is_number(value) and 0 <= value <= 1, "a number in 0..1")
]
_UnclipRatio = Annotated[
    Dimension, _searched(lambda value: _is_number(value) and value > 0, "a number above 0")
]
_Count = Annotated[
    Dimension,
    _searched(
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 1,
        "a whole number above 0",
    ),
]
_Flag = Annotated[Dimension, _searched(lambda value: isinstance(value, bool), "true or false")]


class ThresholdSpace(Section):
    """What threshold tuning searches; wide by default, since good values lie where nobody looks."""

    thresh: _Probability = _wide(0.05, 0.95, 0.005)
    box_thresh: _Probability = _wide(0.05, 0.95, 0.005)
    unclip_ratio: _UnclipRatio = _wide(1.0, 3.0, 0.1)
    max_candidates: _Count = Choice(type="categorical", choices=(500, 1000))
    use_polygon: _Flag = Choice(type="categorical", choices=(False, True))

    @property
    def dimensions(self) -> dict[str, Dimension]:
        """Each by the name of its threshold."""
        return {name: getattr(self, name) for name in type(self).model_fields}

    def holds(self, thresholds: Thresholds) -> bool:
        """Whether thresholds in use may stay: inside every range, on a step of it or not; any
        max_candidates."""
        values = {name: getattr(thresholds, name) for name in self.dimensions if name != "max_candidates"}
        return is_within(self.dimensions, values)


def is_within(space: Mapping[str, Dimension], params: Mapping[str, Any]) -> bool:
    """Whether every value lies in its range, on a step of it or not, or is one of its choices."""
    for name, value in params.items():
        dimension = space[name]
        if dimension.type == "categorical":
            if value not in dimension.choices:
                return False
        elif not dimension.low <= value <= dimension.high:
            return False
    return True


def at_ends(space: Mapping[str, Dimension], params: Mapping[str, Any]) -> tuple[str, ...]:
    """Names whose value lies within one step of an end of its range: better ones may lie outside.

    Of three or four values only the ends count, and of fewer none, as on the axes of a lattice.
    """
    found = []
    for name, dimension in space.items():
        if dimension.type == "categorical" or dimension.low == dimension.high:
            continue
        width, step = dimension.high - dimension.low, dimension.step or 0.0
        n_values = int(width / step + 1e-9) + 1 if step else math.inf
        margin = (step if n_values > 4 else 0.0) + 1e-9  # a step's sums are not exact
        if n_values > 2 and not dimension.low + margin < params[name] < dimension.high - margin:
            found.append(name)
    return tuple(found)
