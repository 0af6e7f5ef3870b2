"""Which point of a landscape to take: the highest, or the middle of a high plateau.

The highest of many points is high partly by luck: on 60 receipts a third of its gain over the defaults was
left on other images. ``robust`` takes the point whose surroundings are best: scores are averaged with
Gaussian weights over thresh, box_thresh and unclip_ratio first. Of its gain more than half was left, and
more in all (tests/benchmarks/selection.py). A detector that is hardly trained may have no plateau but a
narrow top: so it is chosen among those points alone that score nearly as high as the best. Cross-fitting
says what a rule's choice is worth on images that it did not see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from optdet.errors import OptdetError
from optdet.evaluation.landscape import Landscape
from optdet.structures import FloatArray, Thresholds

Select = Literal["best", "robust"]
RULES: Final[tuple[Select, ...]] = get_args(Select)

THRESH_WIDTH: Final = 0.05
"""Standard deviation of the weights over thresh and box_thresh, in their units."""
UNCLIP_WIDTH: Final = 0.2
_REACH: Final = 2.0
"""Standard deviations beyond which a neighbour has no weight."""
ROBUST_WITHIN: Final = 0.01
"""Macro H-mean by which ``robust`` may lie below the highest point."""
_EQUAL: Final = 1e-9
"""Lattice values nearer than this are one value: .1 + .2 and .3."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A choice, its macro H-mean on the images that it was made on, and the axes at whose end it lies."""

    thresholds: Thresholds
    hmean: float
    at_bounds: tuple[str, ...]


def choose(landscapes: Sequence[Landscape], select: Select) -> Chosen:
    """The choice of a rule among several landscapes (quads and polygons); the first of equals.

    ``best`` is the best of all box_thresh, not only of those on the lattice. Of landscapes with a constraint
    only what keeps it is chosen; OptdetError where nothing does.
    """
    constraint = landscapes[0].constraint
    nothing = OptdetError(f"no thresholds keep {constraint}", where="--constraint", fix="loosen it")
    if select == "best":
        found = [(of.best, of) for of in landscapes if of.best is not None]
        if not found:
            raise nothing
        best, of = max(found, key=lambda entry: entry[0].hmean)
        return Chosen(best.thresholds, best.hmean, _at_bounds(of, best.thresholds))
    place = _choice(landscapes, [of.hmean for of in landscapes], [_allowed(of) for of in landscapes], select)
    if place is None:
        raise nothing
    landscape, index = landscapes[place[0]], place[1]
    thresholds = _at(landscape, index)
    return Chosen(thresholds, float(landscape.hmean.flat[index]), _at_bounds(landscape, thresholds))


def crossfit(landscapes: Sequence[Landscape], select: Select) -> float | None:
    """Macro H-mean when the images of each part are scored where the rule chose on the others.

    None where there are too few images to have both, and where nothing keeps the constraint without some
    part.
    """
    places = _crossfit_places(landscapes, select)
    if places is None:
        return None
    score = 0.0
    for part, (which, index) in places.items():
        score += float(landscapes[which].part_hmeans[..., part].flat[index])
    return score / int(landscapes[0].part_sizes.sum())


def crossfit_thresholds(landscapes: Sequence[Landscape], select: Select) -> dict[int, Thresholds] | None:
    """By part what the rule chooses on the images of the others, from the lattice; None as ``crossfit``."""
    places = _crossfit_places(landscapes, select)
    if places is None:
        return None
    return {part: _at(landscapes[which], index) for part, (which, index) in places.items()}


def _crossfit_places(landscapes: Sequence[Landscape], select: Select) -> dict[int, tuple[int, int]] | None:
    """By part: which landscape, and the flat index of the point in it.

    box_thresh is chosen from the lattice. A constraint must hold on the others as well: their own precision
    or recall, and their boxes times all images over theirs.
    """
    sizes = landscapes[0].part_sizes
    parts = np.flatnonzero(sizes)
    if len(parts) < 2:
        return None
    totals = [landscape.part_hmeans.sum(axis=-1) for landscape in landscapes]
    places = {}
    for part in parts.tolist():
        own = [landscape.part_hmeans[..., part] for landscape in landscapes]
        n_others = int(sizes.sum() - sizes[part])
        others = [(total - mine) / n_others for total, mine in zip(totals, own, strict=True)]
        place = _choice(landscapes, others, [_allowed(of, without=part) for of in landscapes], select)
        if place is None:
            return None
        places[part] = place
    return places


def _choice(
    landscapes: Sequence[Landscape],
    hmeans: Sequence[FloatArray],
    allowed: Sequence[NDArray[np.bool_]],
    select: Select,
) -> tuple[int, int] | None:
    """Which landscape a rule chooses from, and the flat index of its point; None where all are barred."""
    kept = [np.where(may, values, -np.inf) for values, may in zip(hmeans, allowed, strict=True)]
    highest = max(float(values.max()) for values in kept)
    if highest == -np.inf:
        return None
    if select == "robust":
        kept = [
            np.where(values >= highest - ROBUST_WITHIN, smoothed(of, raw), -np.inf)
            for of, raw, values in zip(landscapes, hmeans, kept, strict=True)
        ]
    which = int(np.argmax([values.max() for values in kept]))
    return which, int(np.argmax(kept[which]))


def _allowed(landscape: Landscape, without: int | None = None) -> NDArray[np.bool_]:
    """Where the constraint is kept: on all images, or on those outside a part."""
    constraint = landscape.constraint
    if constraint is None:
        return np.ones(landscape.hmean.shape, dtype=np.bool_)
    sums, sizes = landscape.part_bounded, landscape.part_sizes
    total, n_images = sums.sum(axis=-1), int(sizes.sum())
    if without is not None:
        total = (total - sums[..., without]) * (n_images / int(n_images - sizes[without]))
    return np.asarray(constraint.allows(total if constraint.metric == "boxes" else total / n_images))


def smoothed(landscape: Landscape, values: FloatArray) -> FloatArray:
    """Values (K, U, M, B) averaged over their surroundings on the lattice."""
    lattice = landscape.lattice
    by_thresh, by_ratio, by_box = (
        _weights(points, width)
        for points, width in (
            (lattice.thresh, THRESH_WIDTH),
            (lattice.unclip_ratio, UNCLIP_WIDTH),
            (lattice.box_thresh, THRESH_WIDTH),
        )
    )
    averaged = np.tensordot(by_thresh, values, axes=1) @ by_box.T
    return np.ascontiguousarray(np.moveaxis(np.tensordot(by_ratio, averaged, axes=(1, 1)), 0, 1))


def _weights(points: Sequence[float], width: float) -> FloatArray:
    """(n, n): in row i how much each point counts at point i; 1 in all.

    What a neighbourhood has outside of the range counts for the point at its end, as if values went on
    there unchanged. Left out, an end would be judged by its inner side alone, and a top near it drawn to it.
    """
    place = np.asarray(points, dtype=np.float64) / width
    weights = _gaussian(place[:, None] - place)
    if len(place) > 1:
        for end, beside in ((0, 1), (-1, -2)):
            step = place[end] - place[beside]
            beyond = place[end] + step * np.arange(1, int(_REACH / abs(step)) + 1)
            weights[:, end] += _gaussian(place[:, None] - beyond).sum(axis=1)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _gaussian(distance: FloatArray) -> FloatArray:
    return np.where(np.abs(distance) <= _REACH, np.exp(-(distance**2) / 2), 0.0)


def choose_point(points: Sequence[Thresholds], hmeans: FloatArray, select: Select) -> int:
    """Index of a rule's choice among scattered points with macro H-means (n,)."""
    if select == "best":
        return int(np.argmax(hmeans))
    near = hmeans >= hmeans.max() - ROBUST_WITHIN
    return int(np.argmax(np.where(near, smoothed_points(points, hmeans), -np.inf)))


def smoothed_points(points: Sequence[Thresholds], hmeans: FloatArray) -> FloatArray:
    """As ``smoothed``, for scattered points (n,): averages over those of the same kind and max_candidates."""
    place = np.array(
        [
            (p.thresh / THRESH_WIDTH, p.box_thresh / THRESH_WIDTH, p.unclip_ratio / UNCLIP_WIDTH)
            for p in points
        ]
    )
    kind = np.array([(p.use_polygon, p.max_candidates) for p in points])
    distance = (place[:, None] - place) ** 2
    near = (kind[:, None] == kind).all(axis=2) & (distance <= _REACH**2).all(axis=2)
    weights = np.where(near, np.exp(-distance.sum(axis=2) / 2), 0.0)
    return np.asarray(weights @ hmeans / weights.sum(axis=1))


def _at(landscape: Landscape, index: int) -> Thresholds:
    k, u, m, b = (int(i) for i in np.unravel_index(index, landscape.hmean.shape))
    return landscape.lattice.at(k, u, m, b)


def ends_reached(axis: Sequence[float] | NDArray[np.floating], value: float) -> tuple[bool, bool]:
    """Whether a value lies within one step of the low and of the high end: better ones may lie outside.

    Of three or four values only the ends themselves count: all are within a step of one. An axis of one or
    two values has no inside, and nothing is said of it.
    """
    if len(axis) < 3:
        return False, False
    margin = 1 if len(axis) > 4 else 0
    return bool(value <= axis[margin] + _EQUAL), bool(value >= axis[-1 - margin] - _EQUAL)


def _at_bounds(landscape: Landscape, thresholds: Thresholds) -> tuple[str, ...]:
    """Axes that the point reaches an end of. Of max_candidates only the largest is an end: the smallest that
    changes nothing is taken anyway."""
    lattice = landscape.lattice
    found = [
        name
        for name in ("thresh", "box_thresh", "unclip_ratio")
        if any(ends_reached(getattr(lattice, name), getattr(thresholds, name)))
    ]
    if len(lattice.max_candidates) > 2 and thresholds.max_candidates == lattice.max_candidates[-1]:
        found.append("max_candidates")
    return tuple(found)
