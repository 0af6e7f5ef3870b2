"""Probability maps kept on disk: ``<cache>/maps/<detector key>/<image key>.npy``, float16, (S, S).

A file is written to a temporary name and renamed, and never changed after. Behind the array stands the
SHA-256 of the bytes before it: a file that is cut off, damaged or of another shape counts as missing, and is
made again.
"""

from __future__ import annotations

import hashlib
import io
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optdet.atomic import atomic_file
from optdet.errors import OptdetError

_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True)
class MapCache:
    """The maps of one detector."""

    folder: Path

    @classmethod
    def of(cls, cache_dir: Path, detector_key: str) -> MapCache:
        return cls(cache_dir / "maps" / detector_key)

    def has(self, image_key: str) -> bool:
        """Whether a file is there; whether it is whole is known when it is loaded."""
        return self._path(image_key).is_file()

    def load(self, image_key: str, size: int) -> NDArray[np.float16] | None:
        try:
            stored = self._path(image_key).read_bytes()
        except OSError:
            return None
        content, digest = stored[:-_DIGEST_BYTES], stored[-_DIGEST_BYTES:]
        if hashlib.sha256(content).digest() != digest:
            return None
        prob_map = np.load(io.BytesIO(content), allow_pickle=False)
        whole = prob_map.shape == (size, size) and prob_map.dtype == np.float16
        return prob_map if whole else None

    def save(self, image_key: str, prob_map: NDArray[np.float16]) -> None:
        array = io.BytesIO()
        np.save(array, prob_map)
        content = array.getvalue()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_file(self._path(image_key)) as file:
                file.write(content + hashlib.sha256(content).digest())
        except OSError as error:
            raise OptdetError(
                f"the probability map cannot be kept ({error.strerror})",
                where=str(self._path(image_key)),
                fix="free space there",
            ) from error

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, image_key: str) -> Path:
        return self.folder / f"{image_key}.npy"
