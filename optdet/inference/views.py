"""Test-time augmentation: other views of an image, whose maps lie as that of the image itself.

``hflip`` and ``vflip`` mirror the whole canvas, its padding too, and mirror the map back: pixel x of a canvas
of side S is S - 1 - x, whatever the padding. ``scale:N`` draws the image on a canvas of side N; its map is
one of that canvas.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from optdet.errors import OptdetError
from optdet.inference.preprocessing import Preprocessing

_SIDE_STEP = 32
_MAX_SIDE = 8192


class ScalableDetector(Protocol):
    """A detector of canvases that can be had for canvases of another side."""

    @property
    def preprocessing(self) -> Preprocessing: ...

    def prob_map(self, canvas: NDArray[np.uint8]) -> NDArray[np.float16]: ...

    def at_size(self, size: int) -> ScalableDetector:
        """OptdetError where the network takes one size alone."""
        ...


@dataclass(frozen=True, slots=True)
class View:
    """One way to look at an image; ``size`` is the side of the canvas of ``scale``."""

    kind: Literal["scale", "hflip", "vflip"]
    size: int | None = None

    def __str__(self) -> str:
        return self.kind if self.size is None else f"{self.kind}:{self.size}"

    def preprocessing(self, own: Preprocessing) -> Preprocessing:
        return own if self.size is None else replace(own, size=self.size)

    def key(self, own: str) -> str:
        """Names the maps of this view, where ``own`` names those of the image itself."""
        return hashlib.sha256(f"{own} seen as {self}".encode()).hexdigest()[:24]

    def detector(self, own: ScalableDetector) -> ScalableDetector:
        return own.at_size(self.size) if self.size is not None else _Mirrored(own, self)

    def mirrored(self, canvas: NDArray[np.generic]) -> NDArray[np.generic]:
        """The canvas as it is seen, and a map of it back again."""
        axis = {"hflip": 1, "vflip": 0}[self.kind]
        return np.ascontiguousarray(np.flip(canvas, axis=axis))


@dataclass(frozen=True, slots=True)
class _Mirrored:
    """A detector that sees canvases in the mirror."""

    own: ScalableDetector
    view: View

    @property
    def preprocessing(self) -> Preprocessing:
        return self.own.preprocessing

    def prob_map(self, canvas: NDArray[np.uint8]) -> NDArray[np.float16]:
        seen = self.own.prob_map(np.asarray(self.view.mirrored(canvas), dtype=np.uint8))
        return np.asarray(self.view.mirrored(seen), dtype=np.float16)

    def at_size(self, size: int) -> ScalableDetector:
        return _Mirrored(self.own.at_size(size), self.view)


def parse_views(texts: Sequence[str], where: str = "--tta") -> tuple[View, ...]:
    """From ``scale:1152,hflip``, or such texts one by one; OptdetError for another, and for one twice."""
    views = [_parse(part.strip(), where) for text in texts for part in text.split(",") if part.strip()]
    for view in views:
        if views.count(view) > 1:
            raise OptdetError(f"{view} is given twice", where=where, fix="give each once")
    return tuple(views)


def _parse(text: str, where: str) -> View:
    if text == "hflip":
        return View("hflip")
    if text == "vflip":
        return View("vflip")
    match = re.fullmatch(r"scale:([0-9]{1,5})", text)
    if match is None:
        raise OptdetError(
            f"{text!r} is no augmentation", where=where, fix="give scale:SIDE, hflip or vflip, as hflip"
        )
    size = int(match[1])
    if not _SIDE_STEP <= size <= _MAX_SIDE or size % _SIDE_STEP:
        nearest = min(max(1, round(size / _SIDE_STEP)) * _SIDE_STEP, _MAX_SIDE)
        raise OptdetError(
            f"{size} is not a multiple of {_SIDE_STEP} up to {_MAX_SIDE}",
            where=where,
            fix=f"as scale:{nearest}",
        )
    return View("scale", size)
