"""Which point of a landscape to take: the highest, or the middle of a high plateau.

The highest of many points is high partly by luck: on 60 receipts a third of its gain over the defaults was
left on other images. ``robust`` takes the point whose surroundings are best: scores are averaged with
Gaussian weights over thresh, box_thresh and unclip_ratio first. Of its gain more than half was left, and
more in all (tests/benchmarks/selection.py). Cross-fitting says what a rule's choice is worth on images that
it did not see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from optdet.errors import OptdetError
from optdet.evaluation.landscape import Landscape
from optdet.structures import FloatArray, Thresholds

Select = Literal["robust", "best"]

THRESH_WIDTH: Final = 0.05
"""Standard deviation of the weights over thresh and box_thresh, in their units."""
UNCLIP_WIDTH: Final = 0.2
_REACH: Final = 2.0
"""Standard deviations beyond which a neighbour has no weight."""


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
    ranked = []
    for landscape in landscapes:
        values = _allowed(landscape, _ranked(landscape, landscape.hmean, select))
        index = int(np.argmax(values))
        ranked.append((float(values.flat[index]), index))
    value, index = max(ranked, key=lambda entry: entry[0])
    if value == -np.inf:
        raise nothing
    landscape = landscapes[[entry[0] for entry in ranked].index(value)]
    thresholds = _at(landscape, index)
    return Chosen(thresholds, float(landscape.hmean.flat[index]), _at_bounds(landscape, thresholds))


def crossfit(landscapes: Sequence[Landscape], select: Select) -> float | None:
    """Macro H-mean when the images of each part are scored where the rule chose on the others.

    box_thresh is chosen from the lattice. A constraint must hold on the others as well: their own precision
    or recall, and their boxes times all images over theirs. None where there are too few images to have
    both, and where nothing keeps the constraint without some part.
    """
    sizes = landscapes[0].part_sizes
    parts = np.flatnonzero(sizes)
    if len(parts) < 2:
        return None
    totals = [landscape.part_hmeans.sum(axis=-1) for landscape in landscapes]
    score = 0.0
    for part in parts:
        found = []
        for landscape, total in zip(landscapes, totals, strict=True):
            own = landscape.part_hmeans[..., part]
            values = _ranked(landscape, (total - own) / int(sizes.sum() - sizes[part]), select)
            values = _allowed(landscape, values, without=int(part))
            index = int(np.argmax(values))
            found.append((float(values.flat[index]), float(own.flat[index])))
        value, own_sum = max(found, key=lambda entry: entry[0])
        if value == -np.inf:
            return None
        score += own_sum
    return score / int(sizes.sum())


def _allowed(landscape: Landscape, values: FloatArray, without: int | None = None) -> FloatArray:
    """The values with -inf where the constraint is not kept: on all images, or on those outside a part."""
    constraint = landscape.constraint
    if constraint is None:
        return values
    sums, sizes = landscape.part_bounded, landscape.part_sizes
    total, n_images = sums.sum(axis=-1), int(sizes.sum())
    if without is not None:
        total = (total - sums[..., without]) * (n_images / int(n_images - sizes[without]))
    kept = constraint.allows(total if constraint.metric == "boxes" else total / n_images)
    return np.where(kept, values, -np.inf)


def _ranked(landscape: Landscape, hmeans: FloatArray, select: Select) -> FloatArray:
    return smoothed(landscape, hmeans) if select == "robust" else hmeans


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
    """(n, n): in row i how much each point counts at point i; 1 in all."""
    place = np.asarray(points, dtype=np.float64) / width
    distance = (place[:, None] - place) ** 2
    weights = np.where(distance <= _REACH**2, np.exp(-distance / 2), 0.0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def smoothed_points(points: Sequence[Thresholds], hmeans: FloatArray) -> FloatArray:
    """The same for scattered points (n,): averages over those of the same kind and max_candidates."""
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


def _at_bounds(landscape: Landscape, thresholds: Thresholds) -> tuple[str, ...]:
    """Axes of which the point lies within one step of an end: better values may lie outside.

    Of three or four values only the ends themselves count: all are within a step of one. An axis of one or
    two values has no inside, and nothing is said of it.
    """
    lattice = landscape.lattice
    found = []
    for name in ("thresh", "box_thresh", "unclip_ratio"):
        axis = getattr(lattice, name)
        margin = 1 if len(axis) > 4 else 0
        if len(axis) > 2 and not axis[margin] < getattr(thresholds, name) < axis[-1 - margin]:
            found.append(name)
    return tuple(found)
