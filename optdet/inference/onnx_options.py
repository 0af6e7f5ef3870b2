"""How images are given to an ONNX detector, and how its output is read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from optdet.digest import file_sha256
from optdet.errors import OptdetError
from optdet.inference.preprocessing import Preprocessing

Channels = Literal["rgb", "bgr"]
Pad = Literal["center", "topleft"]
Activation = Literal["auto", "none", "sigmoid"]
_SIDE_STEP = 32


@dataclass(frozen=True, slots=True)
class OnnxOptions:
    """``mean`` and ``std`` are 0..1, one number or three in the order of ``channels``; ``size`` is the side
    of the square canvas. ``activation`` auto takes the sigmoid where the first output leaves 0..1.
    ``raw_pixels`` is of a model that takes 0..255 and normalises by itself.

    OptdetError for a value that cannot be.
    """

    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    size: int = 1024
    channels: Channels = "rgb"
    pad: Pad = "center"
    activation: Activation = "auto"
    interpolation: Literal["area", "bilinear"] = "area"
    raw_pixels: bool = False

    def __post_init__(self) -> None:
        _check_numbers("--mean", self.mean, above_zero=False)
        _check_numbers("--std", self.std, above_zero=True)
        if self.size < _SIDE_STEP or self.size % _SIDE_STEP:
            raise OptdetError(
                f"{self.size} is not a multiple of {_SIDE_STEP}",
                where="--size",
                fix=f"as {max(1, round(self.size / _SIDE_STEP)) * _SIDE_STEP}",
            )
        for option, value, choices in (
            ("--channels", self.channels, get_args(Channels)),
            ("--pad", self.pad, get_args(Pad)),
            ("--activation", self.activation, get_args(Activation)),
        ):
            if value not in choices:
                raise OptdetError(f"unknown value {value!r}", where=option, fix=f"use {' or '.join(choices)}")

    @property
    def preprocessing(self) -> Preprocessing:
        mean, std = _three(self.mean), _three(self.std)
        return Preprocessing(self.size, self.pad, mean, std, self.interpolation)

    def key(self, path: Path) -> str:
        """Names the maps of a model file read this way: a digest that needs no onnxruntime."""
        pre = self.preprocessing
        read = (pre.size, pre.pad, pre.mean, pre.std, self.channels, self.activation, n_threads())
        return hashlib.sha256(f"{file_sha256(path)} {read!r}".encode()).hexdigest()[:24]


def n_threads() -> int:
    """Threads inside an operator: OMP_NUM_THREADS, else all cores. The last bits of a map depend on it."""
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(given) if given.isdecimal() and int(given) > 0 else os.cpu_count() or 1


def _check_numbers(option: str, values: Sequence[float], *, above_zero: bool) -> None:
    if len(values) not in (1, 3):
        raise OptdetError(f"{len(values)} numbers", where=option, fix="give one, or one a channel: three")
    for value in values:
        if not 0 <= value <= 1 or (above_zero and value == 0):
            span = "above 0 and at most 1" if above_zero else "0..1"
            raise OptdetError(
                f"{value:g} is outside its range, {span}", where=option, fix="divide values of 0..255 by 255"
            )


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    first, second, third = values if len(values) == 3 else (values[0],) * 3
    return float(first), float(second), float(third)
