"""The space of threshold tuning as lattices that can be swept: one of quads, one of polygons."""

from __future__ import annotations

import math
from typing import Final

from optdet.config import TuneConfig
from optdet.detection.contours import MAX_LEVELS
from optdet.errors import OptdetError
from optdet.evaluation.landscape import SweepLattice
from optdet.search_space import Choice, Dimension, IntRange, ThresholdSpace
from optdet.structures import Thresholds

_STEPS = {"thresh": 0.005, "box_thresh": 0.005, "unclip_ratio": 0.1}

MAX_RATIOS: Final = 100
"""Values of unclip_ratio: every candidate is grown by each of them."""
MAX_POINTS: Final = 5_000_000
"""Of a lattice: at some 200 bytes a point it fills a gigabyte. The default space has 1.4 million."""


def lattices(tune: TuneConfig, current: Thresholds) -> list[SweepLattice]:
    """The lattices of the space; OptdetError for one that is too fine, before its values are listed."""
    space = tune.space
    found = []
    for use_polygon in sorted({bool(value) for value in _values("use_polygon", space.use_polygon, 0)}):
        smallest = {"thresh": 0.0, "box_thresh": 0.0, "unclip_ratio": 0.0, "max_candidates": 0.0}
        if use_polygon:
            smallest |= {"thresh": tune.polygon_thresh_step, "unclip_ratio": tune.polygon_unclip_step}
        _check_size(
            space, {name: _count(name, getattr(space, name), step) for name, step in smallest.items()}
        )
        axes = {
            name: tuple(_values(name, getattr(space, name), step))
            for name, step in smallest.items()
            if name != "max_candidates"
        }
        found.append(
            SweepLattice(
                **axes,
                max_candidates=limits(tune, current),
                use_polygon=use_polygon,
                min_side=current.min_side,
            )
        )
    return found


def limits(tune: TuneConfig, current: Thresholds) -> tuple[int, ...]:
    """The values of max_candidates that are swept; the one in use too where the space leaves the default."""
    dimension = tune.space.max_candidates
    found = {int(value) for value in _values("max_candidates", dimension, 0)}
    if dimension == ThresholdSpace().max_candidates:
        found.add(current.max_candidates)
    return tuple(sorted(found))


def _check_size(space: ThresholdSpace, counts: dict[str, int]) -> None:
    n_points = math.prod(counts.values())

    def fitting(name: str) -> int:
        """How many values of an axis do, the others as they are."""
        return max(2, counts[name] * MAX_POINTS // n_points)

    for name, most in (("thresh", MAX_LEVELS), ("unclip_ratio", MAX_RATIOS)):
        if counts[name] > most:
            excess = f"{counts[name]:,} values of {name}, at most {most}"
            raise _too_fine(space, name, min(most, fitting(name)), excess)
    if n_points > MAX_POINTS:
        usual = ThresholdSpace()
        # To blame is the axis that is finest beside the usual one.
        name = max(counts, key=lambda name: counts[name] / _count(name, getattr(usual, name), 0))
        excess = f"{n_points:,} points with {counts[name]:,} values of {name}, at most {MAX_POINTS:,}"
        raise _too_fine(space, name, fitting(name), excess)


def _too_fine(space: ThresholdSpace, name: str, most: int, excess: str) -> OptdetError:
    dimension = getattr(space, name)
    fix = f"name at most {most} choices"
    if not isinstance(dimension, Choice):
        step = (dimension.high - dimension.low) / (most - 1)
        unit = 10.0 ** (math.floor(math.log10(step)) - 1)
        if isinstance(dimension, IntRange):
            unit = max(1.0, unit)
        fix = f"give it a step of {math.ceil(step / unit - 1e-9) * unit:g} or more"
    return OptdetError(
        f"{excess} can be swept", where=f"postprocess.space.{name}", fix=f"{fix}, or method: tpe"
    )


def _count(name: str, dimension: Dimension, smallest_step: float) -> int:
    """How many values :func:`_values` gives."""
    if isinstance(dimension, Choice):
        return len(set(dimension.choices))
    return int((dimension.high - dimension.low) / _step(name, dimension, smallest_step) + 1e-9) + 1


def _values(name: str, dimension: Dimension, smallest_step: float) -> list[float]:
    """Ascending values of a dimension; ranges in steps of their own, but not smaller than
    ``smallest_step``."""
    if isinstance(dimension, Choice):
        return sorted({float(value) for value in dimension.choices})  # type: ignore[arg-type]
    step = _step(name, dimension, smallest_step)
    # Steps below the rounding give some values twice.
    return sorted({round(dimension.low + i * step, 9) for i in range(_count(name, dimension, smallest_step))})


def _step(name: str, dimension: Dimension, smallest_step: float) -> float:
    assert not isinstance(dimension, Choice)
    return max(dimension.step or _STEPS[name], smallest_step)
