"""Images dealt into folds of equal size that are alike in words an image and in image size.

Pure: what is dealt depends on the images' traits and keys and on the seed, not on their order. Single images
are sorted by size (terciles of the longer side), within a tercile by words, and dealt out in rounds, in which
every fold gets one of neighbours: so no fold has more than one image more than another, and folds differ in
words by little more than the widest image. Groups come before, the largest first, each into the fold where it
evens out images, words and sizes best; single images then fill the folds up, as far as there are enough.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optdet.evaluation.groups import terciles
from optdet.metrics.rings import Index
from optdet.structures import FloatArray


@dataclass(frozen=True, slots=True)
class Traits:
    """What folds are to be alike in; ``key`` tells images apart, and those of one ``group`` stay together.

    ``readable`` images have a word to score: every fold needs some.
    """

    key: str
    n_words: int
    readable: bool
    longer_side: int
    group: str | None = None


def partition(images: Sequence[Traits], n_folds: int, seed: int) -> tuple[int, ...]:
    """The fold of each image, 0 to ``n_folds`` - 1."""
    stratum = terciles(np.array([image.longer_side for image in images], dtype=np.float64))
    shares = _shares(images, stratum)
    fold_of = np.full(len(images), -1)
    filled = np.zeros((n_folds, shares.shape[1]))
    groups, singles = _groups(images)
    for members in sorted(groups, key=lambda members: (-len(members), _lot(seed, images[members[0]].key))):
        share = shares[members].sum(axis=0)
        # The rise of the sum of squares, least where the group evens out most.
        fold = _first_by(filled @ share, seed, images[members[0]].key)
        fold_of[members] = fold
        filled[fold] += share
    sizes = np.bincount(fold_of[fold_of >= 0], minlength=n_folds)
    quotas = _quotas(sizes, len(singles))
    given = np.zeros(n_folds)
    for n_dealt, index in enumerate(_in_order(images, singles, stratum, seed), start=1):
        fold = _first_by(given - quotas * (n_dealt / len(singles)), seed, images[index].key)
        fold_of[index] = fold
        given[fold] += 1
    return tuple(int(fold) for fold in fold_of)


def _groups(images: Sequence[Traits]) -> tuple[list[list[int]], list[int]]:
    """Indices of images that belong together, by key within a group; and those of the others."""
    members: dict[str, list[int]] = {}
    for index in sorted(range(len(images)), key=lambda index: images[index].key):
        image = images[index]
        members.setdefault(image.key if image.group is None else f"group {image.group}", []).append(index)
    return (
        [of for of in members.values() if len(of) > 1],
        [of[0] for of in members.values() if len(of) == 1],
    )


def _shares(images: Sequence[Traits], stratum: Index) -> FloatArray:
    """What each image adds to a fold (n, 6): shares of all images, readable ones, words, and each tercile."""
    columns = [
        np.ones(len(images)),
        [image.readable for image in images],
        [image.n_words for image in images],
        *(np.equal(stratum, number) for number in range(3)),
    ]
    counts = np.array(columns, dtype=np.float64).T
    return np.asarray(counts / np.maximum(counts.sum(axis=0), 1))


def _in_order(images: Sequence[Traits], singles: Sequence[int], stratum: Index, seed: int) -> list[int]:
    """Readable ones first, so that every fold has its share of them; neighbours are alike. Words rise and
    fall by turns, so that they do not jump from one tercile of size to the next."""

    def place(index: int) -> tuple[bool, int, int, bytes]:
        image, size = images[index], int(stratum[index])
        words = -image.n_words if size % 2 else image.n_words
        return (not image.readable, size, words, _lot(seed, image.key))

    return sorted(singles, key=place)


def _quotas(sizes: Index, n_singles: int) -> FloatArray:
    """How many single images each fold gets, so that folds of these sizes end as equal as they can."""
    level, order = 0.0, np.sort(sizes)
    for n_filled in range(1, len(order) + 1):
        level = (n_singles + order[:n_filled].sum()) / n_filled
        if n_filled == len(order) or level <= order[n_filled]:
            break
    return np.asarray(np.maximum(level - sizes, 0.0))


def _first_by(costs: FloatArray, seed: int, key: str) -> int:
    """The fold of least cost; of equals one by lot."""
    rounded = np.round(costs, 9)
    equals = np.flatnonzero(rounded == rounded.min())
    return int(min(equals, key=lambda fold: _lot(seed, f"{fold} {key}")))


def _lot(seed: int, key: str) -> bytes:
    return hashlib.sha256(f"{seed} {key}".encode()).digest()
