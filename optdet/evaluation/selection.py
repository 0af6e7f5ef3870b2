"""Which point of a landscape to take: the highest, or the middle of a high plateau.

The highest of many points is high partly by luck: on 60 receipts a third of its gain over the defaults was
left on other images. ``robust`` takes the point whose surroundings are best: scores are averaged with
Gaussian weights over thresh, box_thresh and unclip_ratio first. Of its gain more than half was left, and
more in all (tests/benchmarks/selection.py). Cross-fitting says what a rule's choice is worth on images that
it did not see.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from optdet.errors import OptdetError
from optdet.evaluation.landscape import Landscape, SweepBest
from optdet.structures import FloatArray, Thresholds

Select = Literal["robust", "best"]

THRESH_WIDTH: Final = 0.05
"""Standard deviation of the weights over thresh and box_thresh, in their units."""
UNCLIP_WIDTH: Final = 0.2
_REACH: Final = 2.0
"""Standard deviations beyond which a neighbour has no weight."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A bound that a choice must keep: on macro precision or recall, or on the boxes of all images."""

    metric: Literal["precision", "recall", "boxes"]
    at_least: bool
    value: float

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """From ``recall>=0.955``; OptdetError for anything else."""
        match = re.fullmatch(r"\s*(precision|recall|boxes)\s*(>=|<=)\s*([0-9.]+)\s*", text)
        try:
            value = float(match[3]) if match else math.nan
        except ValueError:
            value = math.nan
        if match is None or math.isnan(value):
            raise OptdetError(
                f"{text!r} is not a constraint",
                where="--constraint",
                fix="write recall>=0.955, precision>=0.97, boxes<=9000",
            )
        return cls(match[1], match[2] == ">=", value)  # type: ignore[arg-type]

    def allows(self, landscape: Landscape) -> NDArray[np.bool_]:
        """Which points of the landscape keep the bound."""
        values = landscape.n_detections if self.metric == "boxes" else getattr(landscape, self.metric)
        return np.asarray(values >= self.value if self.at_least else values <= self.value)

    def __str__(self) -> str:
        return f"{self.metric}{'>=' if self.at_least else '<='}{self.value:g}"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A choice, its macro H-mean on the images that it was made on, and the axes at whose end it lies."""

    thresholds: Thresholds
    hmean: float
    at_bounds: tuple[str, ...]


def choose(landscapes: Sequence[Landscape], select: Select, constraint: Constraint | None = None) -> Chosen:
    """The choice of a rule among several landscapes (quads and polygons); the first of equals.

    Without a constraint ``best`` is the best of all box_thresh, not only of those on the lattice. Raises
    OptdetError where no point keeps the constraint.
    """
    if select == "best" and constraint is None:
        best: SweepBest = max((landscape.best for landscape in landscapes), key=lambda found: found.hmean)
        of = next(landscape for landscape in landscapes if landscape.best is best)
        return Chosen(best.thresholds, best.hmean, _at_bounds(of, best.thresholds))
    ranked = []
    for landscape in landscapes:
        values = _ranked(landscape, landscape.hmean, select)
        if constraint is not None:
            values = np.where(constraint.allows(landscape), values, -np.inf)
        index = int(np.argmax(values))
        ranked.append((float(values.flat[index]), index))
    value, index = max(ranked, key=lambda entry: entry[0])
    if value == -np.inf:
        raise OptdetError(f"no thresholds keep {constraint}", where="--constraint", fix="loosen it")
    landscape = landscapes[[entry[0] for entry in ranked].index(value)]
    thresholds = _at(landscape, index)
    return Chosen(thresholds, float(landscape.hmean.flat[index]), _at_bounds(landscape, thresholds))


def crossfit(landscapes: Sequence[Landscape], select: Select) -> float | None:
    """Macro H-mean when the images of each part are scored where the rule chose on the others.

    box_thresh is chosen from the lattice. None where there are too few images to have both.
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
            index = int(np.argmax(values))
            found.append((float(values.flat[index]), float(own.flat[index])))
        score += max(found, key=lambda entry: entry[0])[1]
    return score / int(sizes.sum())


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
