"""What threshold tuning tried and what it chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from optdet.evaluation.landscape import Landscape
from optdet.evaluation.selection import Select
from optdet.metrics.scores import PRH
from optdet.structures import Thresholds


@dataclass(frozen=True, slots=True)
class Tried:
    """One configuration and its macro scores, in the metric that was tuned for."""

    thresholds: Thresholds
    scores: PRH


@dataclass(frozen=True, slots=True)
class Choice:
    """What a rule chose, what that is worth on images left out of the choice, and the axes at whose end it
    lies."""

    thresholds: Thresholds
    crossfit: float | None
    at_bounds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was tried, in order; what each rule chose of it; and which rule was asked for.

    ``landscapes``: the whole sweeps of ``exhaustive``.
    """

    tried: tuple[Tried, ...]
    choices: Mapping[Select, Choice]
    select: Select
    landscapes: tuple[Landscape, ...] = ()

    @property
    def choice(self) -> Choice:
        """That of the rule that was asked for."""
        return self.choices[self.select]

    @property
    def chosen(self) -> Tried:
        """The same with its scores."""
        return next(entry for entry in self.tried if entry.thresholds == self.choice.thresholds)

    @property
    def best(self) -> Tried:
        """The highest of all that was tried, the first of equals."""
        return max(self.tried, key=lambda entry: entry.scores.hmean)


def draw_tried(tried: Sequence[Tried], path: Path, chosen: Tried | None = None) -> None:
    """A PNG of H-mean over thresh and box_thresh: 0.16 s, 60 kB, where a whole landscape takes 0.7 s.

    Of quads or of polygons, as the ``chosen`` ones are, else whichever have the highest score: the two have
    lattices of their own.
    """
    # Not above: most who need the records draw nothing.
    from optdet.drawing.landscape import LandscapePoint, draw_landscape

    def point(entry: Tried) -> LandscapePoint:
        return LandscapePoint(entry.thresholds.thresh, entry.thresholds.box_thresh, entry.scores.hmean)

    if not tried:
        draw_landscape([], path)
        return
    shown = chosen or max(tried, key=lambda entry: entry.scores.hmean)
    is_polygon = shown.thresholds.use_polygon
    draw_landscape(
        [point(entry) for entry in tried if entry.thresholds.use_polygon == is_polygon],
        path,
        outlines="polygons" if is_polygon else "quads",
        chosen=None if chosen is None else point(chosen),
    )
