"""Image files to detections, reusing cached maps: what ``predict``, tuning and the final score share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from optdet.data.image_cache import CanvasReader
from optdet.data.images import read_image
from optdet.detection.postprocess import MapDetector
from optdet.digest import file_sha256
from optdet.inference.map_cache import MapCache
from optdet.inference.preprocessing import Preprocessing
from optdet.structures import Detections, Thresholds

OnImage = Callable[[int, int], None]
"""Called with images done and the number of them all."""
Bar = Callable[[str], AbstractContextManager[OnImage]]
"""Shows how far a stage of that name is."""


class CanvasDetector(Protocol):
    """What turns a canvas (S, S, 3), uint8 RGB, into its map (S, S): a model of ours, or another's."""

    @property
    def preprocessing(self) -> Preprocessing: ...

    def prob_map(self, canvas: NDArray[np.uint8]) -> NDArray[np.float16]: ...


@dataclass(frozen=True, slots=True)
class ImageMap:
    """The map of one image, ready to be post-processed."""

    path: Path
    detector: MapDetector


def image_key(path: Path) -> str:
    """What names an image in a cache: its content."""
    return image_key_of(file_sha256(path))


def image_key_of(sha256: str) -> str:
    """The same, of a file whose digest is known."""
    return sha256[:32]


def prob_maps(
    detector: CanvasDetector,
    paths: Sequence[Path],
    *,
    cache: MapCache | None = None,
    canvases: CanvasReader | None = None,
    image_keys: Sequence[str] | None = None,
    on_image: OnImage | None = None,
) -> Iterator[ImageMap]:
    """Maps of image files in order: cached ones where there are any, else made, one image at a time.

    ``canvases`` gives the letterboxed images where they were read before, ``image_keys`` their keys where
    they are known.
    """
    pre = detector.preprocessing
    with nullcontext() if cache is None else cache.in_use():
        for index, path in enumerate(paths):
            letterbox = pre.letterbox(path)
            key = "" if cache is None else image_keys[index] if image_keys is not None else image_key(path)
            prob_map = cache.load(key, pre.size) if cache is not None else None
            if prob_map is None:
                canvas = canvases[index] if canvases is not None else letterbox.draw(read_image(path))
                prob_map = detector.prob_map(canvas)
                if cache is not None:
                    cache.save(key, prob_map)
            if on_image is not None:
                on_image(index + 1, len(paths))
            yield ImageMap(path, MapDetector(prob_map, letterbox))


def detect(maps: Iterable[ImageMap], thresholds: Thresholds) -> dict[str, Detections]:
    """Detections by file name."""
    return {image.path.name: image.detector.detect(thresholds) for image in maps}
