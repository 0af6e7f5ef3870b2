"""How far a score over images can be trusted: the percentile bootstrap (Efron, 1979).

Images are drawn with replacement; an interval's bounds are percentiles of the resampled means, or of a score
of the resampled sums of counts. The same seed gives the same bounds on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from optdet.structures import FloatArray

N_RESAMPLES: Final = 2000
LEVEL: Final = 0.95
DRAWS_AT_ONCE: Final = 2_000_000
"""Bounds the memory of one step to some 32 MB, however many images there are."""


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """The score of a less that of b, ``mean``, with its standard error and its interval.

    The score is a mean over images or one of summed counts. ``standard_error`` is the standard deviation of
    the resampled differences, ``p_positive`` the share of them above 0.
    """

    mean: float
    standard_error: float
    low: float
    high: float
    p_positive: float


def bootstrap_interval(
    per_image: ArrayLike, n_resamples: int = N_RESAMPLES, seed: int = 0, level: float = LEVEL
) -> tuple[float, float]:
    """The interval (low, high) of the mean of ``per_image`` (n,).

    Raises ValueError for no images, for NaN, and for a level outside 0..1.
    """
    return _interval(resampled_means(_checked(per_image, "per_image"), n_resamples, seed), level)


def paired_difference(
    a: ArrayLike, b: ArrayLike, n_resamples: int = N_RESAMPLES, seed: int = 0, level: float = LEVEL
) -> PairedDifference:
    """Compare two sets of per-image scores (n,) of the same images in the same order."""
    first, second = _checked(a, "a"), _checked(b, "b")
    if len(first) != len(second):
        raise ValueError(f"a and b must score the same images, got {len(first)} and {len(second)} values")
    differences = first - second
    return _paired(float(differences.mean()), resampled_means(differences, n_resamples, seed), level)


def paired_difference_of_sums(
    a: ArrayLike,
    b: ArrayLike,
    score: Callable[[FloatArray], FloatArray],
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> PairedDifference:
    """Compare a score of summed counts (n, k) of the same images in the same order.

    Images are drawn, their counts summed, and ``score`` applied to the sums: it maps (r, k) to scores (r,).
    Raises ValueError as ``paired_difference`` does, and for counts of two shapes.
    """
    first, second = _checked_counts(a, "a"), _checked_counts(b, "b")
    if first.shape != second.shape:
        raise ValueError(f"a and b must count the same images, got shapes {first.shape} and {second.shape}")
    observed = score(first.sum(axis=0)[None]) - score(second.sum(axis=0)[None])
    sums_a, sums_b = _resampled_sums([first, second], n_resamples, seed)
    return _paired(float(observed[0]), score(sums_a) - score(sums_b), level)


def share_intervals(
    parts: ArrayLike, wholes: ArrayLike, n_resamples: int = N_RESAMPLES, seed: int = 0, level: float = LEVEL
) -> list[tuple[float, float] | None]:
    """Intervals of k shares, each a sum of ``parts`` (n, k) over images by the same sum of ``wholes`` (n, k).

    Draws of images that have none of a whole are left out of its interval; None where no image has any.
    Raises ValueError as ``paired_difference_of_sums`` does.
    """
    part, whole = _checked_counts(parts, "parts"), _checked_counts(wholes, "wholes")
    if part.shape != whole.shape:
        raise ValueError(f"parts and wholes must be of the same images, got {part.shape} and {whole.shape}")
    intervals: list[tuple[float, float] | None] = []
    for in_part, in_whole in zip(
        *(sums.T for sums in _resampled_sums([part, whole], n_resamples, seed)), strict=True
    ):
        drawn = in_whole > 0
        intervals.append(_interval(in_part[drawn] / in_whole[drawn], level) if drawn.any() else None)
    return intervals


def _paired(observed: float, resampled: FloatArray, level: float) -> PairedDifference:
    low, high = _interval(resampled, level)
    # Equal values are equal: their mean may differ from them in the last digit, and std would show it.
    standard_error = float(resampled.std()) if np.ptp(resampled) > 0 else 0.0
    return PairedDifference(observed, standard_error, low, high, float((resampled > 0).mean()))


def _checked_counts(values: ArrayLike, name: str) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name} must hold the counts (n, k) of at least one image, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: a count must be a finite number")
    return array


def _checked(values: ArrayLike, name: str) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size:
        raise ValueError(
            f"{name} must hold one score for each of at least one image, got shape {array.shape}"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{name} {int(np.argmin(np.isfinite(array)))}: a score must be a finite number")
    return array


def resampled_means(values: FloatArray, n_resamples: int = N_RESAMPLES, seed: int = 0) -> FloatArray:
    """Means (n_resamples,) of as many draws, with replacement, of all of ``values`` (n,)."""
    if n_resamples < 1:
        raise ValueError(f"n_resamples must be at least 1, got {n_resamples}")
    generator = np.random.default_rng(seed)
    means = np.empty(n_resamples)
    step = max(1, DRAWS_AT_ONCE // len(values))
    for start in range(0, n_resamples, step):
        size = (min(step, n_resamples - start), len(values))
        means[start : start + step] = values[generator.integers(0, len(values), size)].mean(axis=1)
    return means


def _resampled_sums(counts: list[FloatArray], n_resamples: int, seed: int) -> list[FloatArray]:
    """For each of ``counts`` (n, k) the sums (n_resamples, k) over the same draws.

    How often each image was drawn, times its counts: sums of whole numbers are exact in any order.
    """
    if n_resamples < 1:
        raise ValueError(f"n_resamples must be at least 1, got {n_resamples}")
    generator = np.random.default_rng(seed)
    n = len(counts[0])
    sums = [np.empty((n_resamples, each.shape[1])) for each in counts]
    step = max(1, DRAWS_AT_ONCE // n)
    for start in range(0, n_resamples, step):
        rows = min(step, n_resamples - start)
        cells = generator.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]
        times = np.bincount(cells.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)
        for into, each in zip(sums, counts, strict=True):
            into[start : start + rows] = times @ each
    return sums


def _interval(means: FloatArray, level: float) -> tuple[float, float]:
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
