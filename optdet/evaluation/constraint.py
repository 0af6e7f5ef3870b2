"""A bound that a choice of thresholds must keep."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from optdet.errors import OptdetError


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
        return cls(match[1], match[2] == ">=", value)  # type: ignore[arg-type]

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest value that it allows."""
        return (self.value, math.inf) if self.at_least else (-math.inf, self.value)

    def allows(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Which values of its metric keep it."""
        low, high = self.bounds
        return np.asarray((values >= low) & (values <= high))

    def __str__(self) -> str:
        return f"{self.metric}{'>=' if self.at_least else '<='}{self.value:g}"
