"""What happens to an image before a network sees it. Apart from the network, so that it needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal

from optdet.config import Config
from optdet.data.images import image_size
from optdet.geometry.letterbox import Letterbox


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What happens to an image before the network: canvas side, padding, mean and deviation (0..1, RGB), and
    how it is made smaller."""

    size: int
    pad: Literal["center", "topleft"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Literal["area", "bilinear"] = "area"

    @classmethod
    def of(cls, config: Config) -> Preprocessing:
        data = config.data
        return cls(data.size, data.pad, data.mean, data.std, data.interpolation)

    def letterbox(self, path: Path) -> Letterbox:
        """Where the image of a file lies on the canvas."""
        return Letterbox(*image_size(path), size=self.size, pad=self.pad, interpolation=self.interpolation)

    def __repr__(self) -> str:
        """Part of the keys of kept maps: with ``area`` what it was before there was a choice, so that they
        stay valid."""
        parts = f"size={self.size!r}, pad={self.pad!r}, mean={self.mean!r}, std={self.std!r}"
        other = "" if self.interpolation == "area" else f", interpolation={self.interpolation!r}"
        return f"Preprocessing({parts}{other})"

    def as_json(self) -> dict[str, Any]:
        return {
            "size": self.size,
            "pad": self.pad,
            "interpolation": self.interpolation,
            "mean": list(self.mean),
            "std": list(self.std),
        }


PREPROCESSING_SETTINGS: Final = tuple(field.name for field in fields(Preprocessing))
"""Settings of ``data`` that say what a network sees of an image, and not which images."""
