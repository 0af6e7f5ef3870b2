"""What the pictures of a dense sweep show, and what is read off it: best places, bounds, the front.

Arrays are indexed [thresh, unclip_ratio, box_thresh] and reduced over whatever else was swept. Thresholds,
precision, recall and H-mean are 0..1, macro means over images; ``n_detections`` is of all images together.
The H-mean of a point is a mean of the images' own, so it is not 2PR/(P+R) of its precision and recall.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from optdet.evaluation.selection import ends_reached

FloatArray = NDArray[np.floating[Any]]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.intp]
Metric = Literal["precision", "recall", "hmean", "n_detections"]

Side = Literal["low", "high"]
_SIDES: tuple[Side, Side] = ("low", "high")


@dataclass(frozen=True, slots=True)
class NamedPoint:
    """A configuration with a name; ``default``, ``current``, ``best`` and ``robust`` have marks of their own.

    It need not lie on the lattice: box_thresh is continuous, and a user's candidate is where the user says.
    """

    name: str
    thresh: float
    box_thresh: float
    unclip_ratio: float
    precision: float
    recall: float
    hmean: float


@dataclass(frozen=True, slots=True)
class SweepConstraint:
    """What a configuration has to satisfy to be chosen: ``metric`` >= ``bound``, or <= where not
    ``at_least``."""

    metric: Metric
    bound: float
    at_least: bool = True

    def met_by(self, values: NDArray[Any]) -> BoolArray:
        return values >= self.bound if self.at_least else values <= self.bound

    @property
    def excluded(self) -> str:
        """What is excluded, for a reader: ``recall < 0.95``."""
        name = "boxes" if self.metric == "n_detections" else self.metric
        return f"{name} {'<' if self.at_least else '>'} {self.bound:.12g}"


@dataclass(frozen=True, slots=True, eq=False)
class SweepView:
    """Scores (K, U, B) over ascending ``thresh`` (K,), ``unclip_ratio`` (U,) and ``box_thresh`` (B,).

    ``standard_error`` is that of the best H-mean. Raises ValueError for arrays of other shapes, values that
    are not finite, and axes that do not ascend.
    """

    thresh: FloatArray
    box_thresh: FloatArray
    unclip_ratio: FloatArray
    hmean: FloatArray
    precision: FloatArray
    recall: FloatArray
    n_detections: NDArray[Any]
    named: tuple[NamedPoint, ...] = ()
    standard_error: float | None = None
    constraint: SweepConstraint | None = None
    title: str = ""

    def __post_init__(self) -> None:
        for name in ("thresh", "box_thresh", "unclip_ratio"):
            axis = getattr(self, name)
            if axis.ndim != 1 or not len(axis) or not (np.diff(axis) > 0).all():
                raise ValueError(f"{name} must hold ascending values, got {axis}")
        shape = (len(self.thresh), len(self.unclip_ratio), len(self.box_thresh))
        for name in ("hmean", "precision", "recall", "n_detections"):
            array = getattr(self, name)
            if array.shape != shape or not np.isfinite(array).all():
                raise ValueError(f"{name} must hold finite values of shape {shape}, got shape {array.shape}")

    def meets_constraint(self) -> BoolArray:
        """Which points (K, U, B) may be chosen; all of them where there is no constraint."""
        if self.constraint is None:
            return np.ones(self.hmean.shape, dtype=np.bool_)
        return self.constraint.met_by(getattr(self, self.constraint.metric))

    def best(self) -> NamedPoint:
        """The point named ``best``, else the lattice's best that meets the constraint, else of all."""
        for point in self.named:
            if point.name == "best":
                return point
        allowed = self.meets_constraint()
        hmean = np.where(allowed, self.hmean, -1.0) if allowed.any() else self.hmean
        k, u, b = (int(index) for index in np.unravel_index(int(hmean.argmax()), hmean.shape))
        place = (float(self.thresh[k]), float(self.box_thresh[b]), float(self.unclip_ratio[u]))
        scores = (float(array[k, u, b]) for array in (self.precision, self.recall, self.hmean))
        return NamedPoint("best", *place, *scores)

    def highest(self) -> float:
        """The best H-mean that may be chosen, which distances from the best are counted from."""
        allowed = self.meets_constraint()
        of_lattice = self.hmean[allowed] if allowed.any() else self.hmean
        return max(float(of_lattice.max()), self.best().hmean)

    def with_best(self) -> tuple[NamedPoint, ...]:
        """The named points, the best among them in any case."""
        if any(point.name == "best" for point in self.named):
            return self.named
        return (*self.named, self.best())

    def reached_bounds(self) -> tuple[ReachedBound, ...]:
        """Bounds of the lattice that the best lies within one step of: there may be better beyond them."""
        best = self.best()
        return tuple(
            ReachedBound(name, side, float(axis[0] if side == "low" else axis[-1]))
            for name, axis, value in (
                ("thresh", self.thresh, best.thresh),
                ("box_thresh", self.box_thresh, best.box_thresh),
                ("unclip_ratio", self.unclip_ratio, best.unclip_ratio),
            )
            for side, reached in zip(_SIDES, ends_reached(axis, value), strict=True)
            if reached
        )


@dataclass(frozen=True, slots=True)
class ReachedBound:
    """``axis`` ends at ``value`` on its low or high side."""

    axis: str
    side: Side
    value: float

    def __str__(self) -> str:
        return f"{self.axis} {'≥' if self.side == 'low' else '≤'} {self.value:g}"


def precision_recall_front(precision: FloatArray, recall: FloatArray) -> IntArray:
    """Indices into the flattened arrays of the points that none is better than in both, by ascending recall.

    A point is on the front if every other has less precision or less recall, or equals it; of equal ones the
    first is taken.
    """
    precision, recall = precision.ravel(), recall.ravel()
    order = np.lexsort((np.arange(len(recall)), -precision, -recall))
    falling = precision[order]
    so_far = np.concatenate([[-np.inf], np.maximum.accumulate(falling)[:-1]])
    front: IntArray = order[falling > so_far][::-1]
    return front
