"""Probability maps kept on disk: ``<cache>/maps/<detector key>/<image key>.npy``, float16, (S, S).

A file is written to a temporary name and renamed, and never changed after. One that cannot be read, or has
another shape, counts as missing and is made again.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class MapCache:
    """The maps of one detector."""

    folder: Path

    @classmethod
    def of(cls, cache_dir: Path, detector_key: str) -> MapCache:
        return cls(cache_dir / "maps" / detector_key)

    def load(self, image_key: str, size: int) -> NDArray[np.float16] | None:
        path = self._path(image_key)
        try:
            prob_map = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        whole = prob_map.shape == (size, size) and prob_map.dtype == np.float16
        return prob_map if whole else None

    def save(self, image_key: str, prob_map: NDArray[np.float16]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{image_key}.{os.getpid()}.tmp"
        try:
            with temporary.open("wb") as file:
                np.save(file, prob_map)
            os.replace(temporary, self._path(image_key))
        finally:
            temporary.unlink(missing_ok=True)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, image_key: str) -> Path:
        return self.folder / f"{image_key}.npy"
