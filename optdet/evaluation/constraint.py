"""A bound that a choice of thresholds must keep."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from optdet.errors import OptdetError

_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Constraint:
    """On macro precision or recall, or on the boxes of all images."""

    metric: Literal["precision", "recall", "boxes"]
    at_least: bool
    value: float

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """From ``recall>=0.955``; OptdetError for anything else."""
        match = re.fullmatch(r"\s*(precision|recall|boxes)\s*(>=|<=)\s*([0-9.]+)\s*", text)
        try:
            value = float(match[3]) if match else math.nan
        except ValueError:
            value = math.nan
        if match is None or math.isnan(value):
            raise OptdetError(
                f"{text!r} is not a constraint",
                where="--constraint",
                fix="write recall>=0.955, precision>=0.97, boxes<=9000",
            )
        if match[1] != "boxes" and value > 1:
            raise OptdetError(
                f"{match[1]} is a number of 0 to 1, not {value:g}",
                where="--constraint",
                fix=f"{value / 100:g} is what a percentage of {value:g} would be",
            )
        return cls(match[1], match[2] == ">=", value)  # type: ignore[arg-type]

    @classmethod
    def only(cls, texts: Sequence[str]) -> Constraint | None:
        """The one that was given, if any; OptdetError for several: a sweep keeps one."""
        if len(texts) > 1:
            raise OptdetError(
                f"{len(texts)} constraints: {', '.join(texts)}", where="--constraint", fix="give one of them"
            )
        return cls.parse(texts[0]) if texts else None

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest value that it allows; one that is equal but for the last digits, in
        which sums over images are not exact, is allowed."""
        slack = 0.0 if self.metric == "boxes" else _SLACK
        return (self.value - slack, math.inf) if self.at_least else (-math.inf, self.value + slack)

    def allows(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Which values of its metric keep it."""
        low, high = self.bounds
        return np.asarray((values >= low) & (values <= high))

    def __str__(self) -> str:
        text = repr(self.value).removesuffix(".0")
        return f"{self.metric}{'>=' if self.at_least else '<='}{text}"
