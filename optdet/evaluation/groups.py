"""Where two detectors differ: in images with few or many words, and in words that are small or large.

Groups are terciles of what was measured: a value up to the first tercile is in the first group, one up to the
second in the second. Where many values are equal, groups are of unequal size, and one may be empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from optdet.evaluation.difference import Difference, difference_of_means, difference_of_sums
from optdet.evaluation.truth import WordCharacters
from optdet.geometry.polygons import shorter_side
from optdet.metrics.rings import Bools, Index
from optdet.structures import FloatArray, Word

DENSITIES: Final = ("few", "medium", "many")
WORD_SIZES: Final = ("small", "medium", "large")


@dataclass(frozen=True, slots=True)
class Group:
    """Members (images or words) of a tercile, and their least and largest value; None in an empty group."""

    name: str
    n_members: int
    low: float | None
    high: float | None
    score: Difference | None


def by_density(n_words: Sequence[int], hmeans_a: FloatArray, hmeans_b: FloatArray) -> tuple[Group, ...]:
    """Macro H-mean of images grouped by their number of words; all arguments are (images,)."""
    values = np.array(n_words, dtype=np.float64)
    of_image = terciles(values)
    groups = []
    for number, name in enumerate(DENSITIES):
        chosen = of_image == number
        score = difference_of_means(hmeans_a[chosen], hmeans_b[chosen]) if chosen.any() else None
        groups.append(_group(name, values[chosen], score))
    return tuple(groups)


def by_word_size(
    words: Sequence[Sequence[Word]], a: Sequence[WordCharacters], b: Sequence[WordCharacters]
) -> tuple[Group, ...]:
    """Character recall of words grouped by their height; all arguments are (images,).

    A word's height is the shorter side of its smallest rectangle, in image pixels, which a turned word keeps.
    The recall of a group is the share of its words' pseudo characters (competition profile) that lie in a
    matched detection, over all images. Splitting a word costs nothing here, so that the groups together need
    not give the global recall.
    """
    heights = [np.array([word_height(word) for word in image], dtype=np.float64) for image in words]
    every = np.concatenate(heights)
    bounds = _bounds(every)
    groups = []
    for number, name in enumerate(WORD_SIZES):
        chosen = [_tercile(image, bounds) == number for image in heights]
        members = every[np.concatenate(chosen)]
        in_a, in_b = _sums(chosen, a), _sums(chosen, b)
        has_characters = in_a[:, 1].sum() > 0
        score = difference_of_sums(in_a, in_b, _share) if has_characters else None
        groups.append(_group(name, members, score))
    return tuple(groups)


def word_height(word: Word) -> float:
    return shorter_side(word.polygon.astype(np.float32))


def terciles(values: FloatArray) -> Index:
    """The group of each value (n,): 0, 1 or 2."""
    return _tercile(values, _bounds(values))


def _bounds(values: FloatArray) -> FloatArray:
    return np.quantile(values, [1 / 3, 2 / 3]) if len(values) else np.zeros(2)


def _tercile(values: FloatArray, bounds: FloatArray) -> Index:
    return np.asarray(np.searchsorted(bounds, values, side="left"))


def _sums(chosen: Sequence[Bools], characters: Sequence[WordCharacters]) -> FloatArray:
    """Found and all characters of the chosen words, (images, 2)."""
    rows = [
        (each.n_found[mask].sum(), each.n_characters[mask].sum())
        for mask, each in zip(chosen, characters, strict=True)
    ]
    return np.array(rows, dtype=np.float64)


def _share(sums: FloatArray) -> FloatArray:
    """A resample without any such word counts as 0 on both sides."""
    return np.divide(sums[:, 0], sums[:, 1], out=np.zeros(len(sums)), where=sums[:, 1] > 0)


def _group(name: str, values: FloatArray, score: Difference | None) -> Group:
    low, high = (float(values.min()), float(values.max())) if len(values) else (None, None)
    return Group(name, len(values), low, high, score)
