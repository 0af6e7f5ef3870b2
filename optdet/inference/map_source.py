"""What gives the maps of images: a detector with its cache, or a folder of ready-made maps.

A detector is opened when the first map must be made. Where every wanted map is kept already, its framework
(torch, onnxruntime) is never imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from optdet.data.image_cache import CanvasReader
from optdet.errors import OptdetError
from optdet.inference.cache_listing import evict, list_cache
from optdet.inference.map_cache import MapCache
from optdet.inference.predict import CanvasDetector, ImageMap, image_key, prob_maps
from optdet.inference.preprocessing import Preprocessing
from optdet.inference.views import ScalableDetector, View
from optdet.structures import OnImage

EMPTY_BELOW = 0.05
"""A map that stays below this everywhere has no candidate at any threshold that is searched."""


class MapSource(Protocol):
    """Gives the final maps of image files, in their order, each independent of the others."""

    @property
    def title(self) -> str: ...

    def maps(
        self,
        paths: Sequence[Path],
        *,
        canvases: CanvasReader | None = None,
        on_image: OnImage | None = None,
    ) -> Iterator[ImageMap]:
        """``canvases`` are the letterboxed images where they were read before; some sources need none."""
        ...


@dataclass(frozen=True, slots=True)
class OpenedDetector:
    """A detector that is ready, and the key of the maps that it makes."""

    detector: ScalableDetector
    key: str


class _OnDemand:
    """Stands for a detector whose maps are all there: opened where one of them turns out damaged."""

    def __init__(self, preprocessing: Preprocessing, open_detector: Callable[[], OpenedDetector]) -> None:
        self.preprocessing = preprocessing
        self._open = open_detector

    def prob_map(self, canvas: NDArray[np.uint8]) -> NDArray[np.float16]:
        return self._open().detector.prob_map(canvas)


class DetectorMaps:
    """The maps of a detector, kept in ``cache_dir``, which holds ``max_gb`` at most: the oldest others go.

    ``key`` is that of the maps kept earlier, where it is known without opening the detector. A detector that
    turns out to make other maps (on another device, or with another number of threads) uses its own: maps of
    two kinds are never mixed in one folder, nor, but for a damaged file, in one answer.

    ``view`` says of which view the maps are, where it is another than the image itself.
    """

    def __init__(
        self,
        *,
        title: str,
        preprocessing: Preprocessing,
        open_detector: Callable[[], OpenedDetector],
        cache_dir: Path,
        key: str | None,
        max_gb: float,
        view: View | None = None,
    ) -> None:
        self.title = title
        self.preprocessing = preprocessing
        self._open_detector = open_detector
        self._cache_dir = cache_dir
        self._key = key
        self._max_gb = max_gb
        self._view = view
        self._opened: OpenedDetector | None = None

    def open(self) -> OpenedDetector:
        """The detector, opened once."""
        if self._opened is None:
            self._opened = self._open_detector()
        return self._opened

    def cache(self, key: str) -> MapCache:
        seen = {} if self._view is None else {"view": str(self._view)}
        made = {**self.preprocessing.as_json(), **seen}
        return MapCache.of(self._cache_dir, key, title=self.title, preprocessing=made)

    @property
    def identity(self) -> str:
        """What two sources of the same maps have in common; opens the detector where that is not known."""
        return self._key or self.open().key

    def seen_as(self, view: View) -> DetectorMaps:
        """The same detector's maps of another view, kept under a key of their own. The title stays, and with
        it whose maps they are."""

        def open_view() -> OpenedDetector:
            own = self.open()
            return OpenedDetector(view.detector(own.detector), view.key(own.key))

        return DetectorMaps(
            title=self.title,
            preprocessing=view.preprocessing(self.preprocessing),
            open_detector=open_view,
            cache_dir=self._cache_dir,
            key=None if self._key is None else view.key(self._key),
            max_gb=self._max_gb,
            view=view,
        )

    def maps(
        self,
        paths: Sequence[Path],
        *,
        canvases: CanvasReader | None = None,
        on_image: OnImage | None = None,
    ) -> Iterator[ImageMap]:
        keys = [image_key(path) for path in paths]
        detector: CanvasDetector
        if self._key is not None and all(map(self.cache(self._key).has, keys)):
            cache, detector = self.cache(self._key), _OnDemand(self.preprocessing, self.open)
        else:
            opened = self.open()
            cache, detector = self.cache(opened.key), opened.detector
        yield from prob_maps(
            detector, paths, cache=cache, canvases=canvases, image_keys=keys, on_image=on_image
        )
        evict(list_cache(self._cache_dir), self._max_gb, keep=cache.key)


def require_content(title: str, maps: Sequence[ImageMap]) -> None:
    """Refuse maps of which none has anything to find, as those of a wrong preprocessing or activation."""
    for _ in with_content(title, maps):
        pass


def with_content(title: str, maps: Iterable[ImageMap]) -> Iterator[ImageMap]:
    """The maps, refused as by ``require_content`` after the last of them, without keeping any."""
    n_maps, empty = 0, True
    for image in maps:
        n_maps += 1
        empty = empty and bool(image.detector.peak < EMPTY_BELOW)
        yield image
    if n_maps and empty:
        raise OptdetError(
            f"all {n_maps} maps are empty: nowhere above {EMPTY_BELOW}",
            where=title,
            fix="check mean, std, channels and activation, or what wrote the maps",
        )
