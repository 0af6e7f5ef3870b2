"""A folder of probability maps that any program wrote: ``.npy`` or ``.npz``, one an image.

``map_names`` says which file belongs to which image. It holds one array of two axes (axes of length 1 do not
count), floats 0..1 or uint8 0..255; an ``.npz`` of several arrays needs one named ``prob_map``.

A map is a letterboxed square canvas, or covers its whole image at any resolution. ``auto``: where all maps
are squares they are canvases; else each covers its image, and has the image's shape but for sides rounded to
multiples of 32, as PaddleOCR does.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.lib.format import MAGIC_PREFIX
from numpy.typing import NDArray

from optdet.data.image_cache import CanvasReader
from optdet.data.images import image_size
from optdet.detection.postprocess import MapDetector
from optdet.errors import OptdetError
from optdet.geometry.letterbox import Letterbox
from optdet.geometry.placement import Placement, Stretch
from optdet.inference.map_names import find_maps
from optdet.inference.predict import ImageMap
from optdet.structures import OnImage

MapPlacement = Literal["auto", "letterbox", "stretch"]
_ARRAY_NAME = "prob_map"
_ROUNDED_TO = 32
_ONE_IN_BITS = np.float16(1).view(np.uint16)
"""The float16 numbers from 0 to 1 are those whose bits, as an integer, are not above this."""
_TOLERANCE = 1e-4  # by how much rounding may leave 0..1


@dataclass(frozen=True, slots=True)
class MapFolder:
    """The maps of a folder; ``pad`` says where a letterboxed image lies on its canvas."""

    folder: Path
    placement: MapPlacement = "auto"
    pad: Literal["center", "topleft"] = "center"

    @property
    def title(self) -> str:
        return self.folder.name or str(self.folder)

    def maps(
        self,
        paths: Sequence[Path],
        *,
        canvases: CanvasReader | None = None,
        on_image: OnImage | None = None,
    ) -> Iterator[ImageMap]:
        """OptdetError where an image has no map, and for a map that cannot be one."""
        files = find_maps(self.folder, paths)
        letterboxed = self.placement == "letterbox" or (
            self.placement == "auto" and all(height == width for height, width in map(read_shape, files))
        )
        for index, (path, file) in enumerate(zip(paths, files, strict=True)):
            prob_map = read_map(file)
            placement = self._placed(image_size(path), prob_map.shape, file, letterboxed=letterboxed)
            if on_image is not None:
                on_image(index + 1, len(paths))
            yield ImageMap(path, MapDetector(prob_map, placement))

    def _placed(
        self, size: tuple[int, int], shape: tuple[int, ...], file: Path, *, letterboxed: bool
    ) -> Placement:
        height, width = shape
        if letterboxed:
            if height == width:
                return Letterbox(*size, size=width, pad=self.pad)
            raise _no_fit(file, size, shape, "a letterboxed canvas is square; give --placement stretch")
        if self.placement == "auto" and not _resembles(size, (width, height)):
            raise _no_fit(file, size, shape, "if it covers its whole image, give --placement stretch")
        return Stretch(*size, canvas_width=width, canvas_height=height)


def read_map(path: Path) -> NDArray[np.float16]:
    """The map of a file, (H, W); OptdetError for what is none."""
    values = _plane(_read_array(path), path)
    if values.dtype == np.uint8:
        return (values.astype(np.float32) / 255).astype(np.float16)
    if not np.issubdtype(values.dtype, np.floating):
        raise OptdetError(
            f"an array of {values.dtype}", where=str(path), fix="keep maps as float16, float32 or uint8"
        )
    if values.dtype == np.float16 and np.ascontiguousarray(values).view(np.uint16).max() <= _ONE_IN_BITS:
        return values  # the common case, told by the bits: float16 has slow arithmetic
    if not np.isfinite(values).all():
        raise OptdetError("the map has values that are no numbers", where=str(path), fix="make it again")
    low, high = float(values.min()), float(values.max())
    if low < -_TOLERANCE or high > 1 + _TOLERANCE:
        fix = (
            "divide it by 255" if low >= 0 and high <= 255 else "apply the sigmoid first, if it holds logits"
        )
        raise OptdetError(
            f"the map has values of {low:.4g} to {high:.4g}, outside 0..1", where=str(path), fix=fix
        )
    # Clipping float16 takes longer than all the rest.
    inside = values if low >= 0 and high <= 1 else np.clip(values, 0, 1)
    return np.asarray(inside, dtype=np.float16)


def read_shape(path: Path) -> tuple[int, int]:
    """(H, W) of the map of a file; of an ``.npy`` without reading its values."""
    height, width = _plane(_read_array(path, mapped=True), path).shape
    return height, width


def _read_array(path: Path, *, mapped: bool = False) -> NDArray[Any]:
    try:
        with path.open("rb") as file:
            if mapped and file.read(len(MAGIC_PREFIX)) == MAGIC_PREFIX:
                return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
            file.seek(0)
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            names = loaded.files
            name = names[0] if len(names) == 1 else _ARRAY_NAME
            if name in names:
                return np.asarray(loaded[name])
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).strip().splitlines()
        raise OptdetError(
            f"not a NumPy array that can be read ({reason[0][:120] if reason else 'empty'})",
            where=str(path),
            fix="write it again with numpy.save",
        ) from error
    raise OptdetError(
        f"the archive has {len(names)} arrays ({', '.join(names[:4])})",
        where=str(path),
        fix=f"keep one alone, or name the map {_ARRAY_NAME!r}",
    )


def _plane(array: NDArray[Any], path: Path) -> NDArray[Any]:
    """The array without axes of length 1 in front or behind, as (1, H, W) and (H, W, 1) have them."""
    plane = array
    while plane.ndim > 2 and 1 in (plane.shape[0], plane.shape[-1]):
        plane = plane[0] if plane.shape[0] == 1 else plane[..., 0]
    if plane.ndim != 2 or 0 in plane.shape:
        raise OptdetError(
            f"an array of the shape {array.shape} is no map", where=str(path), fix="keep one (H, W) an image"
        )
    return plane


def _resembles(image: tuple[int, int], canvas: tuple[int, int]) -> bool:
    """Whether one factor scales the image's sides to the map's, each within a rounding to multiples of 32."""
    low = max((side - _ROUNDED_TO) / full for side, full in zip(canvas, image, strict=True))
    high = min((side + _ROUNDED_TO) / full for side, full in zip(canvas, image, strict=True))
    return low <= high


def _no_fit(file: Path, size: tuple[int, int], shape: tuple[int, ...], fix: str) -> OptdetError:
    return OptdetError(
        f"a map of {shape[1]} x {shape[0]} fits its image of {size[0]} x {size[1]} in no known way",
        where=str(file),
        fix=fix,
    )
