"""Near copies: one photograph or scan in two files, recompressed, resized, a little cropped, turned or
brighter.

Two steps. Thumbnails propose: each image's 16 x 16 luminance, also of slightly cropped and turned views of
it, is compared with those of all others by one matrix product. Pixels decide: the files are read again,
aligned, and compared tile by tile at a size at which characters can be told apart (see `alignment`). Two
receipts of one shop propose each other, and differ in a few tiles; a copy has none that differs.

Figures on real receipts are in ``tests/benchmarks/duplicates.py``. What is not found: copies that were
cropped by more than about 5 % of a side, turned by more than 2 degrees or by quarters without an EXIF mark,
mirrored, or written on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from optdet.data.alignment import MIN_TILES, Affine, Grey, covered, match_tiles, refine, warp
from optdet.data.images import read_image

FloatRows = NDArray[np.float32]
OnPair = Callable[[int, int], None]

LEAST_LIKENESS = 0.85
"""Likeness of a near copy: on real receipts nearly all copies have 0.9 and more, other receipts of a shop
0.65 and less.
"""
_THUMBNAIL = 256
_DETAIL = 960
"""Longer sides in pixels: of a thumbnail, and of what is compared tile by tile."""
_TILES_A_SIDE = 40
_GRID = 16
_NEIGHBOURS = 4
_LEAST_PROPOSED = 0.8
_LARGEST_STRETCH = 1.15
"""Ratio of two aspect ratios: 5 % off one side changes it by as much."""
_LEAST_COARSE = 0.3
"""Of a tenth of a thumbnail's tiles: copies have 0.35 and more, two thirds of those proposed less."""
_CROPS = (
    (0, 0, 0, 0),
    (0.02,) * 4,
    (0.04,) * 4,
    (0.04, 0, 0, 0),
    (0, 0.04, 0, 0),
    (0, 0, 0.04, 0),
    (0, 0, 0, 0.04),
)
_TURNS = (-1.8, 1.8)
_ROWS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class NearCopy:
    """Two images by their index, the lower first, and how alike their least alike tiles are (0..1)."""

    first: int
    second: int
    likeness: float


def thumbnail(image: NDArray[np.uint8]) -> Grey:
    """A small grey picture of an RGB image; it keeps the aspect ratio."""
    return _scaled(np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8), _THUMBNAIL)


def find_near_copies(
    paths: Sequence[Path],
    thumbnails: Sequence[Grey],
    homes: Sequence[Hashable] | None = None,
    *,
    on_pair: OnPair | None = None,
) -> list[NearCopy]:
    """All pairs that are near copies, ordered by index; each file of a proposed pair is read again. ``homes``
    as for ``propose``.
    """
    proposed = [
        (first, second, map_)
        for first, second in propose(thumbnails, homes)
        if (map_ := _coarse_map(thumbnails[first], thumbnails[second])) is not None
    ]
    read = lru_cache(maxsize=256)(_read_detail)
    found = []
    with ThreadPoolExecutor() as pool:
        measured = pool.map(
            lambda pair: likeness(read(paths[pair[0]]), read(paths[pair[1]]), pair[2]), proposed
        )
        for done, ((first, second, _), value) in enumerate(zip(proposed, measured, strict=True), start=1):
            if on_pair is not None:
                on_pair(done, len(proposed))
            if value >= LEAST_LIKENESS:
                found.append(NearCopy(first, second, round(value, 3)))
    return found


def propose(thumbnails: Sequence[Grey], homes: Sequence[Hashable] | None = None) -> list[tuple[int, int]]:
    """Pairs worth a closer look: of each image the few most similar ones, by correlation of 16 x 16 grids.

    With ``homes``, the source or fold of each image, the few of each home: an image's copies in its own must
    not hide those in another.
    """
    n_images = len(thumbnails)
    if n_images < 2:
        return []
    views = np.stack([_grids(picture) for picture in thumbnails], axis=1)
    aspects = np.array([picture.shape[1] / picture.shape[0] for picture in thumbnails])
    members: defaultdict[Hashable, list[int]] = defaultdict(list)
    for index, home in enumerate(homes or [None] * n_images):
        members[home].append(index)
    pairs: set[tuple[int, int]] = set()
    for start in range(0, n_images, _ROWS_AT_ONCE):
        rows = slice(start, min(start + _ROWS_AT_ONCE, n_images))
        similar = np.max([view[rows] @ views[0].T for view in views], axis=0)
        stretch = aspects[rows, None] / aspects[None]
        similar[np.maximum(stretch, 1 / stretch) > _LARGEST_STRETCH] = -1.0
        similar[np.arange(rows.stop - start), np.arange(start, rows.stop)] = -1.0
        for columns in members.values():
            of_home = similar[:, columns]
            n_near = min(_NEIGHBOURS, len(columns))
            nearest = np.argpartition(-of_home, n_near - 1, axis=1)[:, :n_near]
            near, place = np.nonzero(np.take_along_axis(of_home, nearest, axis=1) >= _LEAST_PROPOSED)
            for row, column in zip(near + start, np.array(columns)[nearest[near, place]], strict=True):
                pairs.add((int(min(row, column)), int(max(row, column))))
    return sorted(pairs)


def likeness(one: Grey, other: Grey, map_: Affine | None = None) -> float:
    """How alike the least alike fiftieth of the tiles of two aligned pictures is, 0..1; 0 where there is too
    little to compare. ``map_`` is a rough map in units of the first picture's width and height.
    """
    size = min(max(one.shape), max(other.shape), _DETAIL)
    first = _soft(_scaled(one, size))
    second = _soft(_stretched(other, first.shape))
    tile = max(8, size // _TILES_A_SIDE)
    found: Affine | None = np.eye(2, 3) if map_ is None else _in_pixels(map_, first.shape)
    for reach in (8, 3):
        if found is None:
            return 0.0
        found = refine(found, first, second, tile=2 * tile, reach=reach)
    if found is None:
        return 0.0
    tiles = match_tiles(
        first, warp(second, found, first.shape), tile=tile, reach=2, inside=covered(found, first.shape)
    )
    if len(tiles) < MIN_TILES:
        return 0.0
    return float(np.clip(np.quantile(tiles.correlations, 0.02), 0.0, 1.0))


def _coarse_map(one: Grey, other: Grey) -> Affine | None:
    """A rough map between two thumbnails, in units of width and height; None where they do not match well
    enough for their files to be read again.
    """
    small = _scaled(one, _THUMBNAIL // 2)
    tile = max(8, max(small.shape) // 8)
    map_ = refine(np.eye(2, 3), small, _stretched(other, small.shape), tile=tile, reach=8)
    if map_ is None:  # little on the page: its place is right, or it is no near copy
        return np.eye(2, 3)
    map_ = _in_units(map_, small.shape)
    second = _stretched(other, one.shape)
    tile = max(8, max(one.shape) // 9)
    map_ = refine(_in_pixels(map_, one.shape), one, second, tile=tile, reach=4)
    if map_ is None:
        return np.eye(2, 3)
    shown = covered(map_, one.shape)
    tiles = match_tiles(one, warp(second, map_, one.shape), tile=max(8, tile // 2), reach=1, inside=shown)
    if len(tiles) >= MIN_TILES and np.quantile(tiles.correlations, 0.1) < _LEAST_COARSE:
        return None
    return _in_units(map_, one.shape)


def _in_units(map_: Affine, shape: tuple[int, ...]) -> Affine:
    height, width = shape[:2]
    return np.asarray(map_ * np.array([[1, height / width, 1 / width], [width / height, 1, 1 / height]]))


def _in_pixels(map_: Affine, shape: tuple[int, ...]) -> Affine:
    height, width = shape[:2]
    return np.asarray(map_ * np.array([[1, width / height, width], [height / width, 1, height]]))


def _grids(picture: Grey) -> FloatRows:
    """(views, 256): the picture's grid and those of slightly cropped and turned views; mean 0, norm 1."""
    height, width = picture.shape
    middle = ((width - 1) / 2, (height - 1) / 2)
    views = []
    for top, bottom, left, right in _CROPS:
        rows = slice(round(height * top), max(1, height - round(height * bottom)))
        views.append(picture[rows, round(width * left) : max(1, width - round(width * right))])
    for degrees in _TURNS:
        turn = np.asarray(cv2.getRotationMatrix2D(middle, degrees, 1.0), dtype=np.float64)
        views.append(warp(picture, turn, picture.shape))
    grids = np.stack([_stretched(view, (_GRID, _GRID)).ravel().astype(np.float32) for view in views])
    grids -= grids.mean(axis=1, keepdims=True)
    return np.asarray(grids / (np.linalg.norm(grids, axis=1, keepdims=True) + 1e-6), dtype=np.float32)


def _read_detail(path: Path) -> Grey:
    grey = cv2.cvtColor(read_image(path), cv2.COLOR_RGB2GRAY)
    return _scaled(np.asarray(grey, dtype=np.uint8), _DETAIL)


def _scaled(picture: Grey, longer_side: int) -> Grey:
    """Shrunk to a longer side; a smaller picture stays as it is."""
    height, width = picture.shape
    scale = longer_side / max(height, width)
    if scale >= 1:
        return picture
    return _stretched(picture, (max(1, round(height * scale)), max(1, round(width * scale))))


def _stretched(picture: Grey, shape: tuple[int, ...]) -> Grey:
    resized = cv2.resize(picture, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.uint8)


def _soft(picture: Grey) -> Grey:
    """Without the finest detail, which resizing and compression change most."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.8), dtype=np.uint8)
