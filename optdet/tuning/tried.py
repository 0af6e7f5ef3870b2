"""What threshold tuning tried and what it chose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from optdet.evaluation.landscape import Landscape
from optdet.metrics.scores import PRH
from optdet.structures import Thresholds


@dataclass(frozen=True, slots=True)
class Tried:
    """One configuration and its macro scores, in the metric that was tuned for."""

    thresholds: Thresholds
    scores: PRH


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was tried, in order; the ``chosen`` one; and what its choice is worth on images left out of it.

    ``at_bounds``: axes at whose end the choice lies. ``landscapes``: the whole sweeps of ``exhaustive``.
    """

    tried: tuple[Tried, ...]
    chosen: Tried
    crossfit: float | None
    at_bounds: tuple[str, ...] = ()
    landscapes: tuple[Landscape, ...] = ()

    @property
    def best(self) -> Tried:
        """The highest of all that was tried, the first of equals."""
        return max(self.tried, key=lambda entry: entry.scores.hmean)


def draw_tried(tried: Sequence[Tried], path: Path) -> None:
    """A PNG of H-mean over thresh and box_thresh: 0.16 s, 60 kB, where a whole landscape takes 0.7 s."""
    # Not above: most who need the records draw nothing.
    from optdet.drawing.landscape import LandscapePoint, draw_landscape

    points = [
        LandscapePoint(entry.thresholds.thresh, entry.thresholds.box_thresh, entry.scores.hmean)
        for entry in tried
    ]
    draw_landscape(points, path)
