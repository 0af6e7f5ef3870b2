"""Two grey pictures of one page laid over each other, and how alike they then are, tile by tile.

Receipts of one shop are alike in all but a few characters, and a copy that was cropped, turned or
recompressed is alike in every one. So a mean over the page tells nothing: pictures are aligned first, by the
affine map that most of their tiles agree on, and then it counts how alike their least alike tiles are.

Pictures are (H, W) uint8. A map is (2, 3): it takes a point of the first picture to the second.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Affine = NDArray[np.float64]

MIN_TILES = 6
"""Fewer tiles with something on them say nothing."""
_MOST_FITTED = 96
"""Tiles that a map is fitted to: six numbers need no more."""
_CONTRAST = 0.4
"""A tile counts from this part of the contrast of the page's liveliest tenth of tiles on."""
_LEAST_CONTRAST = 4.0
"""In grey levels (standard deviation): below it there is noise of the scanner alone."""
_OUTLIER = 1.5
"""Pixels: tiles that lie farther from the fit than this count less and less."""


class Tiles(NamedTuple):
    """Tiles of one picture found in another: middles (N, 2), shifts (N, 2), correlations (N,), -1..1."""

    middles: NDArray[np.float64]
    shifts: NDArray[np.float64]
    correlations: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.middles)


def match_tiles(
    one: Grey, other: Grey, *, tile: int, reach: int, inside: NDArray[np.bool_] | None = None, most: int = 0
) -> Tiles:
    """Where each lively tile of ``one`` is found in ``other``, of the same size, at most ``reach`` pixels
    off.

    A tile is lively where either picture has contrast, so that text that one of them lacks is not passed
    over. ``inside`` leaves out tiles that reach out of it; ``most`` takes evenly as many (0: all).
    """
    lively = np.maximum(_liveliness(one, tile), _liveliness(other, tile)) >= 1
    if inside is not None:
        lively &= _blocks(inside, tile).all(axis=(1, 3))
    places = np.argwhere(lively)
    if most and len(places) > most:
        places = places[np.linspace(0, len(places) - 1, most).astype(int)]
    framed = cv2.copyMakeBorder(other, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    side = tile + 2 * reach
    shifts, correlations = np.zeros((len(places), 2)), np.zeros(len(places))
    for index, (top, left) in enumerate(places * tile):
        scores = cv2.matchTemplate(
            framed[top : top + side, left : left + side],
            one[top : top + tile, left : left + tile],
            cv2.TM_CCOEFF_NORMED,
        )
        _, best, _, at = cv2.minMaxLoc(scores)
        # A flat tile correlates with nothing; OpenCV's quotient of two zeros may be anything.
        correlations[index] = best if -1 <= best <= 1 else 0.0
        shifts[index] = at[0] - reach, at[1] - reach
    middles = places[:, ::-1].astype(np.float64) * tile + (tile - 1) / 2
    return Tiles(middles, shifts, correlations)


def refine(map_: Affine, one: Grey, other: Grey, *, tile: int, reach: int) -> Affine | None:
    """A better map, from where the tiles of ``one`` are found around their place; None with too few tiles."""
    tiles = match_tiles(one, warp(other, map_, one.shape), tile=tile, reach=reach, most=_MOST_FITTED)
    return None if len(tiles) < MIN_TILES else _compose(map_, _fit(tiles))


def warp(picture: Grey, map_: Affine, shape: tuple[int, ...]) -> Grey:
    """``picture`` as the first one of ``map_`` would show it; its edge is continued outwards."""
    height, width = shape[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(picture, map_, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, dtype=np.uint8)


def covered(map_: Affine, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The pixels of the first picture that the second, of the same shape, shows too."""
    height, width = shape[:2]
    whole = np.full((height, width), 255, dtype=np.uint8)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(whole, map_, (width, height), flags=flags) == 255)


def _fit(tiles: Tiles) -> Affine:
    """The map that the tiles agree on: least squares, reweighted by Cauchy's function of the distance."""
    design = np.column_stack([tiles.middles, np.ones(len(tiles))])
    trust = np.clip(tiles.correlations, 0.0, 1.0) ** 4 + 1e-6
    weights = trust
    for _ in range(6):
        root = np.sqrt(weights)[:, None]
        solution = np.linalg.lstsq(design * root, tiles.shifts * root, rcond=None)[0]
        distance = np.linalg.norm(tiles.shifts - design @ solution, axis=1)
        weights = trust / (1.0 + (distance / _OUTLIER) ** 2) ** 2
    return np.asarray(np.eye(2, 3) + solution.T, dtype=np.float64)


def _compose(outer: Affine, inner: Affine) -> Affine:
    last = np.array([[0.0, 0.0, 1.0]])
    return np.asarray((np.vstack([outer, last]) @ np.vstack([inner, last]))[:2])


def _liveliness(picture: Grey, tile: int) -> NDArray[np.float64]:
    """The contrast of each tile; 1 where it begins to count."""
    contrast = _blocks(picture, tile).astype(np.float32).std(axis=(1, 3))
    if contrast.size == 0:
        return np.zeros(contrast.shape)
    level = max(_LEAST_CONTRAST, _CONTRAST * float(np.quantile(contrast, 0.9)))
    return np.asarray(contrast / level, dtype=np.float64)


def _blocks(picture: NDArray[np.generic], tile: int) -> NDArray[np.generic]:
    """(rows, tile, columns, tile): the whole tiles of a picture."""
    rows, columns = picture.shape[0] // tile, picture.shape[1] // tile
    return picture[: rows * tile, : columns * tile].reshape(rows, tile, columns, tile)
