"""PNG files, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from optdet.atomic import atomic_file
from optdet.errors import OptdetError

_COMPRESSION = 3
"""zlib's level: against the usual 6, half the time for a few per cent more bytes on a photograph."""


def write_png(path: Path, array: NDArray[np.uint8]) -> None:
    """Write an RGB picture (H, W, 3), making the folders above it; a reader never sees half a file.

    Raises:
        OptdetError: The file cannot be written (rights, full disk); what stood there before still does.
    """
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise ValueError(f"expected a uint8 array of shape (H, W, 3), got {array.dtype} {array.shape}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            Image.fromarray(array).save(file, format="PNG", compress_level=_COMPRESSION)
    except OSError as error:
        raise OptdetError(
            f"the picture cannot be written: {error.strerror or error}",
            where=str(path),
            fix="check the folder's rights and the free space",
        ) from error
