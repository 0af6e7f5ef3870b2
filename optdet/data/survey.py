"""What a source holds, measured before anything is trained on it.

Sizes are (width, height) in pixels with the EXIF orientation applied. A word is small when the shorter side
of its smallest rectangle is under `SMALL_SIDE` pixels after the image's longer side was scaled to the
training size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from optdet.data.images import exif_orientation, image_size
from optdet.data.source import Source
from optdet.errors import OptdetError
from optdet.geometry.polygons import min_area_rectangle
from optdet.structures import Problem, Sample

SMALL_SIDE = 8.0


@dataclass(frozen=True, slots=True)
class Spread:
    """The least, the middle and the most of some values; all 0 of none."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(min(values), float(median(values)), max(values)) if values else cls(0, 0, 0)

    def __str__(self) -> str:
        return f"{self.low:g} / {self.median:g} / {self.high:g}"


@dataclass(frozen=True, slots=True)
class Survey:
    """Counts of a source; ``unreadable`` are images whose header could not be read, with the reason.

    ``n_outside`` words have their middle outside the image, ``n_size_differs`` images are not of the size
    that the labels state: both say that labels and images do not belong together, or that an orientation
    was ignored.
    """

    size: int
    n_images: int
    n_words: int
    n_ignored: int
    words_per_image: Spread
    widths: Spread
    heights: Spread
    n_small: int
    n_outside: int
    n_rotated: int
    n_size_differs: int
    n_unlabelled: int
    missing: tuple[str, ...]
    bad_rows: tuple[Problem, ...]
    unreadable: tuple[Problem, ...]

    def lines(self) -> list[str]:
        """For a terminal; what is in order (no bad rows, nothing missing) is said too, what cannot be is left
        out.
        """
        small = f"{100 * self.n_small / self.n_words if self.n_words else 0:.1f} %"
        always = [
            f"images        {self.n_images:,}; {self.widths} wide, {self.heights} high (min / median / max)",
            f"words         {self.n_words:,}; {self.words_per_image} an image, {self.n_ignored:,} ignored",
            f"small text    {self.n_small:,} words ({small}) under {SMALL_SIDE:g} pixels at size {self.size}",
            f"EXIF-rotated  {self.n_rotated:,}",
            f"bad rows      {_counted([str(problem) for problem in self.bad_rows])}",
            f"no image      {_counted(self.missing)}",
        ]
        unreadable = [problem.reason for problem in self.unreadable]
        notes = [
            (self.n_unlabelled, f"no label      {self.n_unlabelled:,} images of the folder"),
            (len(unreadable), f"damaged       {_counted(unreadable)}"),
            (self.n_outside, f"outside       {self.n_outside:,} words have their middle outside the image"),
            (self.n_size_differs, f"other size    {self.n_size_differs:,} images than the labels state"),
        ]
        return always + [line for count, line in notes if count]


def _counted(items: Sequence[str]) -> str:
    """``0``, or the number and the first few."""
    shown = "; ".join(items[:3])
    return f"{len(items):,}{': ' if items else ''}{shown}{'; ...' if len(items) > 3 else ''}"


def survey(source: Source, *, size: int = 1024) -> Survey:
    """Reads every image's header, no pixels (but of TIFF files). ``size`` is the side that training scales
    to.
    """
    sizes: list[tuple[int, int]] = []
    unreadable: list[Problem] = []
    n_small = n_outside = n_rotated = n_size_differs = 0
    for sample in source.samples:
        try:
            width, height = image_size(sample.image_path)
            n_rotated += exif_orientation(sample.image_path) != 1
        except OptdetError as error:
            unreadable.append(Problem(str(sample.image_path), "1", str(error)))
            continue
        sizes.append((width, height))
        n_small += _n_small(sample, size / max(width, height))
        n_outside += _n_outside(sample, width, height)
        stated = source.label_file.sizes.get(sample.name)
        n_size_differs += stated is not None and stated != (width, height)
    return Survey(
        size=size,
        n_images=len(source.samples),
        n_words=sum(len(sample.words) for sample in source.samples),
        n_ignored=sum(word.ignored for sample in source.samples for word in sample.words),
        words_per_image=Spread.of([len(sample.words) for sample in source.samples]),
        widths=Spread.of([width for width, _ in sizes]),
        heights=Spread.of([height for _, height in sizes]),
        n_small=n_small,
        n_outside=n_outside,
        n_rotated=n_rotated,
        n_size_differs=n_size_differs,
        n_unlabelled=source.n_unlabelled,
        missing=source.missing,
        bad_rows=source.problems,
        unreadable=tuple(unreadable),
    )


def _n_small(sample: Sample, scale: float) -> int:
    sides = [min_area_rectangle(word.polygon.astype(np.float32)).short_side for word in sample.words]
    return sum(side * scale < SMALL_SIDE for side in sides)


def _n_outside(sample: Sample, width: int, height: int) -> int:
    middles = [(word.polygon.min(axis=0) + word.polygon.max(axis=0)) / 2 for word in sample.words]
    return sum(not (0 <= x <= width and 0 <= y <= height) for x, y in middles)
