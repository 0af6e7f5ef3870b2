"""Image files to detections, reusing cached maps: what ``predict``, tuning and the final score share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optdet.data.image_cache import CanvasReader
from optdet.data.images import image_size, read_image
from optdet.detection.postprocess import MapDetector
from optdet.digest import file_sha256
from optdet.geometry.letterbox import Letterbox
from optdet.inference.detector import Detector
from optdet.inference.map_cache import MapCache
from optdet.structures import Detections, Thresholds


@dataclass(frozen=True, slots=True)
class ImageMap:
    """The map of one image, ready to be post-processed."""

    path: Path
    detector: MapDetector


def prob_maps(
    detector: Detector,
    paths: Sequence[Path],
    *,
    cache: MapCache | None = None,
    canvases: CanvasReader | None = None,
    on_image: Callable[[int, int], None] | None = None,
) -> Iterator[ImageMap]:
    """Maps of image files in order: cached ones where there are any, else made, one image at a time.

    ``canvases`` gives the letterboxed images where they were read before.
    """
    pre = detector.preprocessing
    for index, path in enumerate(paths):
        letterbox = Letterbox(
            *image_size(path), size=pre.size, pad="center" if pre.pad == "center" else "topleft"
        )
        key = file_sha256(path)[:32] if cache is not None else ""
        prob_map: NDArray[np.float16] | None = cache.load(key, pre.size) if cache is not None else None
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
