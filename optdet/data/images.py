"""Image files: listing, size, orientation, pixels.

Pixels are uint8 (H, W, 3), RGB, with the EXIF orientation applied; sizes are (width, height) after it too.
Transparent pixels lie on white, as paper does; 16-bit grey is scaled to 8; of several frames the first
counts. Decoding is Pillow's, which notices a file cut short, and the same bytes always give the same array.
"""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from optdet.data.files import require_folder, require_path
from optdet.data.names import is_image_name, nfc
from optdet.errors import OptdetError

# Pillow's own line between a large picture and a decompression bomb: 256 MiB of RGB.
MAX_PIXELS = 2**28 // 3
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def list_names(folder: Path) -> list[str]:
    """The image files in a folder and its sub-folders, as names relative to it, sorted by NFC name; hidden
    ones are left out, links to folders not followed. Training and prediction name images by this listing.
    """
    require_folder(folder, what="images folder")
    return sorted(_walk(folder, ""), key=lambda name: (nfc(name), name))


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_image_name(entry.name) and entry.is_file():
                yield prefix + entry.name
            elif entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                yield from _walk(folder / entry.name, f"{prefix}{entry.name}/")


def list_images(folder: Path) -> list[Path]:
    """The files of `list_names`."""
    return [folder / name for name in list_names(folder)]


def relative_name(path: Path, folder: Path) -> str:
    """An image's NFC name as `list_names` gives it."""
    return nfc(path.relative_to(folder).as_posix())


def read_image(path: Path) -> NDArray[np.uint8]:
    """Pixels of a file; `OptdetError` when it is missing, damaged, cut short or too large."""
    with _opened(path) as image:
        image.load()
        # After loading: Pillow turns a TIFF itself and removes the mark; a PNG may have it behind the pixels.
        turn = _TURNS.get(_orientation_mark(image))
        upright = image if turn is None else image.transpose(turn)
        return np.array(_as_rgb(upright), dtype=np.uint8)


def image_size(path: Path) -> tuple[int, int]:
    """(width, height), from the header where the format allows."""
    with _opened(path) as image:
        if image.format == "TIFF":
            # Versions of Pillow differ in whether a TIFF's header size is turned already; its pixels do not.
            image.load()
        sideways = _stored_orientation(image) >= 5
        width, height = image.size
        return (height, width) if sideways else (width, height)


def exif_orientation(path: Path) -> int:
    """1 to 8 as the file stores it; 1 (upright) where there is none, or no valid one."""
    with _opened(path) as image:
        return _stored_orientation(image)


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile]:
    """An image whose header was read and is not too large; whatever fails inside becomes an `OptdetError`."""
    require_path(path, what="image")
    try:
        # The warning is for pictures over the limit that is checked just below.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path)
        with image:
            _check_pixels(path, image.size)
            yield image
    except (OptdetError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(path, str(error)) from error
    except Exception as error:
        # Decoders raise nearly anything for damaged bytes: OSError, SyntaxError, struct.error, IndexError.
        reason = "not an image, or damaged" if isinstance(error, UnidentifiedImageError) else str(error)
        raise OptdetError(
            f"the image cannot be read ({reason})",
            where=str(path),
            fix="replace it, or remove it and its labels",
        ) from error


def _check_pixels(path: Path, size: tuple[int, int]) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise _too_large(path, f"{size[0]}x{size[1]}, the limit is {MAX_PIXELS / 1e6:.0f} million pixels")


def _too_large(path: Path, detail: str) -> OptdetError:
    return OptdetError(f"the image is too large ({detail})", where=str(path), fix="scale it down")


def _stored_orientation(image: ImageFile) -> int:
    """The mark without decoding pixels: a PNG may have it in a chunk behind them, which Pillow reads only
    with them.
    """
    mark = _orientation_mark(image, header_only=True)
    if mark == 1 and image.format == "PNG" and image.fp is not None:
        exif = Image.Exif()
        exif.load(_png_exif(image.fp))
        mark = _valid(exif.get(ExifTags.Base.Orientation))
    return mark


def _orientation_mark(image: ImageFile, *, header_only: bool = False) -> int:
    # The class's own method: a PNG's override decodes all pixels first.
    exif = Image.Image.getexif(image) if header_only else image.getexif()
    return _valid(exif.get(ExifTags.Base.Orientation))


def _valid(mark: object) -> int:
    return mark if isinstance(mark, int) and 1 <= mark <= 8 else 1


def _png_exif(file: IO[bytes]) -> bytes:
    """A PNG's eXIf chunk, wherever it is; empty without one. The file's position is put back."""
    position = file.tell()
    file.seek(8)
    content = b""
    while len(header := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", header)
        if kind == b"eXIf":
            content = file.read(length)
            break
        file.seek(length + 4, 1)
    file.seek(position)
    return content


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _from_deep_grey(image)
    if "A" in image.getbands() or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")


def _from_deep_grey(image: Image.Image) -> Image.Image:
    """Pillow clips values over 255 to white, which would leave a white page of a 16-bit scan."""
    values = np.asarray(image, dtype=np.float64)
    # Nothing says on which scale numbers with a point are.
    scales = (1.0, 255.0) if image.mode == "F" else ()
    top = next((top for top in scales if values.max(initial=0.0) <= top), 65535.0)
    grey = np.clip(np.rint(values * (255.0 / top)), 0, 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")
