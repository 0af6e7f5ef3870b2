"""Which images an epoch has, and in which order: from (weights, seed, epoch) alone.

A source's weight says how often each of its images comes in an epoch, on average: 1 once, 2 twice, 0.5 in
every second epoch. Its share of an epoch is n * weight, over the sum of that of all sources.

With several sources that share is kept in every epoch, not in the long run alone. A source's images stand in
a ring, in an order of their own; an epoch takes the next n * weight of them, rounded so that the sum over
epochs is right too. So in any number of epochs a source has given within one image of what its weight says,
and each of its images within one time. With one source there is no share to keep, and images of a broken
weight are drawn by lot.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from optdet.config import SourceConfig


@dataclass(frozen=True, slots=True)
class SourcePart:
    """The part of a set that comes from one source; ``name`` is for people."""

    name: str
    n_images: int
    weight: float = 1.0


def source_of_images(parts: Sequence[SourcePart]) -> NDArray[np.int64]:
    """The place of its source, for each image of a set."""
    return np.repeat(np.arange(len(parts)), [part.n_images for part in parts])


def source_parts(configs: Sequence[SourceConfig], n_images: Sequence[int]) -> tuple[SourcePart, ...]:
    """The parts of sources that give so many images each."""
    return tuple(
        SourcePart(name, count, config.weight)
        for name, config, count in zip(_names(configs), configs, n_images, strict=True)
    )


def parts_of(parts: Sequence[SourcePart], indices: Sequence[int]) -> tuple[SourcePart, ...]:
    """The parts of some of a set's images, whose indices ascend; without sources that none is of."""
    counts = np.bincount(source_of_images(parts)[list(indices)], minlength=len(parts))
    return tuple(
        replace(part, n_images=int(count)) for part, count in zip(parts, counts, strict=True) if count
    )


def _names(configs: Sequence[SourceConfig]) -> list[str]:
    """The sources' image folders; where several have one, with their label files; else with a number."""
    images = _short([config.images for config in configs])
    if _distinct(images):
        return images
    labels = _short([config.labels for config in configs])
    names = [f"{folder} ({file})" for folder, file in zip(images, labels, strict=True)]
    return names if _distinct(names) else [f"{name} {n}" for n, name in enumerate(names, start=1)]


def _short(paths: Sequence[str]) -> list[str]:
    """As many last parts of each path as tell those apart that differ."""
    parts = [PurePath(path).parts or (path,) for path in paths]  # "." has none
    for n_parts in range(1, max(map(len, parts))):
        names = ["/".join(each[-n_parts:]) for each in parts]
        if len(set(names)) == len(set(parts)):
            return names
    return [str(PurePath(*each)) for each in parts]


def _distinct(names: Sequence[str]) -> bool:
    return len(set(names)) == len(names)


def expected_length(parts: Sequence[SourcePart]) -> float:
    """Images of an epoch, on average."""
    return sum(part.n_images * part.weight for part in parts)


def epoch_order(
    parts: Sequence[SourcePart], seed: int, epoch: int, limit: int | None = None
) -> NDArray[np.int64]:
    """Indices of the images of an epoch (from 1), shuffled. An epoch is never empty: where the weights leave
    no image, one of the largest weight is taken. One that ends after ``limit`` images has each source's share
    of them, as a whole one has.
    """
    rng = np.random.default_rng((seed, epoch, 0x0DE))
    weights = np.repeat([part.weight for part in parts], [part.n_images for part in parts])
    lots = rng.random(len(weights))
    if len(parts) == 1 or all(float(part.weight).is_integer() for part in parts):
        times = np.floor(weights).astype(np.int64)
        times += lots < weights - times
    else:
        times = np.concatenate([_turns(part, place, seed, epoch) for place, part in enumerate(parts)])
    if not times.any():
        times[weights.argmax()] = 1
    order = rng.permutation(np.repeat(np.arange(len(weights)), times))
    if limit is None or limit >= len(order):
        return order
    if len(parts) == 1:
        return order[:limit]
    return rng.permutation(_in_proportion(order, source_of_images(parts)[order], limit))


def _in_proportion(order: NDArray[np.int64], sources: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """The first images of each source, ``limit`` in all, as many as its share of the order (largest
    remainder).
    """
    counts = np.bincount(sources)
    quotas, remainders = np.divmod(counts * limit, len(order))
    quotas[np.argsort(-remainders, kind="stable")[: limit - quotas.sum()]] += 1
    taken = [order[sources == source][:quota] for source, quota in enumerate(quotas)]
    return np.concatenate(taken)


def _turns(part: SourcePart, place: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """How often each image of a source comes in an epoch."""
    begin, end = (_given(part, epochs) for epochs in (epoch - 1, epoch))
    ring = np.random.default_rng((seed, place, 0x51DE)).permutation(part.n_images)
    return np.bincount(ring[np.arange(begin, end) % part.n_images], minlength=part.n_images)


def _given(part: SourcePart, epochs: int) -> int:
    """Images that a source has given in so many epochs."""
    return math.floor(epochs * (part.n_images * part.weight) + 0.5)
