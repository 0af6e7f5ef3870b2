"""The weighted mean of several sources' maps: an ensemble as one source of maps.

All maps are brought to the largest canvas that a source draws the image on; views at another scale do not
count for that. Where all canvases are equal no value is resampled.

Weights are whole numbers and maps float16, so that every sum is exact in float64: the order of the sources
moves no bit, one source alone gives its own maps, and so do copies of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from optdet.data.image_cache import CanvasReader
from optdet.detection.postprocess import MapDetector
from optdet.errors import OptdetError
from optdet.geometry.placement import Placement
from optdet.geometry.resample import onto_canvas
from optdet.inference.map_source import MapSource
from optdet.inference.predict import ImageMap
from optdet.structures import OnImage

MAX_WEIGHT: Final = 2**20
"""Of a whole-number weight: with 25 bits of a float16 and up to 256 sources a sum stays below 2**53."""
MAX_SOURCES: Final = 256


@dataclass(frozen=True, slots=True)
class WeightedMaps:
    """A source of a mean; ``sets_canvas`` is False for a view at another scale."""

    maps: MapSource
    weight: float = 1.0
    sets_canvas: bool = True


@dataclass(frozen=True, slots=True)
class MeanMaps:
    """The mean of the sources' maps, weighted; sources of weight 0 are not asked for any."""

    title: str
    sources: tuple[WeightedMaps, ...]

    def maps(
        self,
        paths: Sequence[Path],
        *,
        canvases: CanvasReader | None = None,
        on_image: OnImage | None = None,
    ) -> Iterator[ImageMap]:
        """``canvases`` are of no use here: sources have canvases of their own."""
        weights = whole_weights([source.weight for source in self.sources])
        used = [(source, weight) for source, weight in zip(self.sources, weights, strict=True) if weight]
        opened = [source.maps.maps(paths) for source, _ in used]
        for number, images in enumerate(zip(*opened, strict=True), start=1):
            mean = mean_map(
                [image.detector for image in images],
                [weight for _, weight in used],
                [source.sets_canvas for source, _ in used],
            )
            if on_image is not None:
                on_image(number, len(paths))
            yield ImageMap(images[0].path, mean)


def mean_map(
    detectors: Sequence[MapDetector], weights: Sequence[int], sets_canvas: Sequence[bool] | None = None
) -> MapDetector:
    """The mean of one image's maps by whole-number weights, of which one at least is above 0."""
    setting = sets_canvas if sets_canvas is not None else [True] * len(detectors)
    places = [each.letterbox for each, sets in zip(detectors, setting, strict=True) if sets]
    canvas = max(places or [each.letterbox for each in detectors], key=_size)
    total = np.zeros((canvas.canvas_height, canvas.canvas_width))
    for detector, weight in zip(detectors, weights, strict=True):
        total += onto_canvas(detector.given_map, detector.letterbox, canvas).astype(np.float64) * weight
    return MapDetector(_rounded(total / sum(weights)), canvas)


def _rounded(mean: NDArray[np.float64]) -> NDArray[np.float16]:
    return mean.astype(np.float16)


def _size(place: Placement) -> tuple[int, int, int, str]:
    """By which the canvas is chosen, whatever the order of the sources."""
    inner = place.inner_width * place.inner_height
    return inner, place.canvas_width * place.canvas_height, place.inner_width, repr(place)


def whole_weights(weights: Sequence[float]) -> tuple[int, ...]:
    """Weights as whole numbers in the same proportions, as small as they can be: decimals are taken as they
    are written. OptdetError for what is none, for none above 0, and for proportions too fine."""
    if len(weights) > MAX_SOURCES:
        raise OptdetError(f"{len(weights)} members, at most {MAX_SOURCES} can be averaged", where="ensemble")
    for weight in weights:
        if not 0 <= weight < float("inf"):
            raise OptdetError(f"{weight:g} is no weight", where="--weights", fix="give numbers of 0 or more")
    fractions = [Fraction(repr(float(weight))) for weight in weights]
    if not any(fractions):
        raise OptdetError("no weight is above 0", where="--weights", fix="give one at least")
    denominator = lcm(*(fraction.denominator for fraction in fractions))
    whole = [int(fraction * denominator) for fraction in fractions]
    divisor = gcd(*whole)
    whole = [weight // divisor for weight in whole]
    if max(whole) > MAX_WEIGHT:
        raise OptdetError(
            f"the weights {', '.join(f'{weight:g}' for weight in weights)} are in no simple proportion",
            where="--weights",
            fix="round them, to three decimals for example",
        )
    return tuple(whole)
