"""What happens to an image before a network sees it. Apart from the network, so that it needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from optdet.config import Config
from optdet.data.images import image_size
from optdet.geometry.letterbox import Letterbox


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What happens to an image before the network: canvas side, padding, mean and deviation (0..1, RGB)."""

    size: int
    pad: Literal["center", "topleft"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @classmethod
    def of(cls, config: Config) -> Preprocessing:
        return cls(config.data.size, config.data.pad, config.data.mean, config.data.std)

    def letterbox(self, path: Path) -> Letterbox:
        """Where the image of a file lies on the canvas."""
        return Letterbox(*image_size(path), size=self.size, pad=self.pad)

    def as_json(self) -> dict[str, Any]:
        return {"size": self.size, "pad": self.pad, "mean": list(self.mean), "std": list(self.std)}
