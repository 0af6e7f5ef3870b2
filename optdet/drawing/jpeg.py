"""JPEG files, written whole or not at all: photographs with lines on them, a tenth of a PNG's size."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from optdet.atomic import atomic_file
from optdet.drawing.canvas import Picture
from optdet.errors import OptdetError

_QUALITY = 85


def write_jpeg(path: Path, picture: Picture) -> None:
    """Write an RGB picture (H, W, 3); the folder must be there. OptdetError where it cannot be written."""
    try:
        # In memory: into a file Pillow writes past Python, and takes a short write for a whole one.
        encoded = io.BytesIO()
        Image.fromarray(picture).save(encoded, format="JPEG", quality=_QUALITY)
        with atomic_file(path) as file:
            file.write(encoded.getbuffer())
    except OSError as error:
        raise OptdetError(
            f"the picture cannot be written: {error.strerror or error}",
            where=str(path),
            fix="check the folder's rights and the free space",
        ) from error
