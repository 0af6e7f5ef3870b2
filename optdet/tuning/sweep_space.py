"""The space of threshold tuning as lattices that can be swept: one of quads, one of polygons."""

from __future__ import annotations

from optdet.config import Choice, Dimension, IntRange, ThresholdSpace, TuneConfig
from optdet.detection.contours import MAX_LEVELS
from optdet.errors import OptdetError
from optdet.evaluation.landscape import SweepLattice
from optdet.structures import Thresholds

_STEPS = {"thresh": 0.005, "box_thresh": 0.005, "unclip_ratio": 0.1}


def lattices(tune: TuneConfig, current: Thresholds) -> list[SweepLattice]:
    """The lattices of the space; OptdetError for one that is too fine."""
    space = tune.space
    found = []
    for use_polygon in sorted({bool(value) for value in _values("use_polygon", space.use_polygon, 0)}):
        coarse = (
            {"thresh": tune.polygon_thresh_step, "unclip_ratio": tune.polygon_unclip_step}
            if use_polygon
            else {}
        )
        axes = {
            name: tuple(_values(name, getattr(space, name), coarse.get(name, 0)))
            for name in ("thresh", "box_thresh", "unclip_ratio")
        }
        if len(axes["thresh"]) > MAX_LEVELS:
            raise OptdetError(
                f"{len(axes['thresh'])} values of thresh, at most {MAX_LEVELS} can be swept",
                where="postprocess.space.thresh",
                fix="give it a larger step, or method: tpe",
            )
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


def _values(name: str, dimension: Dimension, smallest_step: float) -> list[float]:
    """Ascending values of a dimension; ranges in steps of their own, but not smaller than
    ``smallest_step``."""
    if isinstance(dimension, Choice):
        return sorted({float(value) for value in dimension.choices})  # type: ignore[arg-type]
    if isinstance(dimension, IntRange):
        return [float(value) for value in range(dimension.low, dimension.high + 1, dimension.step)]
    step = max(dimension.step or _STEPS[name], smallest_step)
    n_steps = int((dimension.high - dimension.low) / step + 1e-9)
    return [round(dimension.low + i * step, 9) for i in range(n_steps + 1)]
