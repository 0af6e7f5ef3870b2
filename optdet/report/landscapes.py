"""The landscape of thresholds as the page draws it: a sweep as fine as a screen can show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from optdet.config import Config
from optdet.drawing.sweep_html import sweep_data
from optdet.drawing.sweep_marks import CHOSEN
from optdet.evaluation.parallel import map_workers
from optdet.evaluation.scorer import ImageScorer
from optdet.search_space import Choice, Dimension, FloatRange
from optdet.structures import Thresholds
from optdet.tuning.postprocess import tune_postprocess
from optdet.tuning.sweep_views import sweep_view
from optdet.tuning.task import OnTrial, TuningTask

MAX_STEPS: Final = 91
"""Values of thresh and box_thresh."""
MAX_RATIOS: Final = 11
"""Values of unclip_ratio: each is a table of its own."""


def landscapes(
    title: str,
    scorers: list[ImageScorer],
    config: Config,
    current: Thresholds,
    on_image: OnTrial | None = None,
) -> list[dict[str, Any]]:
    """``title`` and the ``view`` that ``sweep_charts.js`` reads, of quads and of polygons as far as the
    config has them in its space; of polygons, which take most of the time, only where they are in use.

    Nothing is chosen here: the space is swept whatever method tuned.
    """
    tune = config.postprocess.tune
    kinds = _kinds(tune.space.use_polygon, current)
    coarse = {
        "thresh": _coarse(tune.space.thresh, MAX_STEPS),
        "box_thresh": _coarse(tune.space.box_thresh, MAX_STEPS),
        "unclip_ratio": _coarse(tune.space.unclip_ratio, MAX_RATIOS),
        "use_polygon": Choice(type="categorical", choices=kinds),
    }
    space = tune.space.model_copy(update=coarse)
    search = tune.model_copy(update={"method": "exhaustive", "space": space})
    task = TuningTask(scorers, search, current)
    tuned = tune_postprocess(title, task, workers=map_workers(), on_trial=on_image)
    # What a rule chooses of this coarse lattice is not what tuning chose.
    report = replace(tuned, entries=tuple(entry for entry in tuned.entries if entry.name != "robust"))
    return [
        {
            "title": "polygons" if landscape.lattice.use_polygon else "quads",
            "in_use": landscape.lattice.use_polygon == current.use_polygon,
            "view": _named_here(sweep_data(sweep_view(report, landscape))),
        }
        for landscape in report.landscapes
    ]


def _named_here(view: dict[str, Any]) -> dict[str, Any]:
    """Tuning chose what is in use; the best of this sweep nobody chose. Names say so, with scores."""
    names = {"current": CHOSEN, "best": "highest of this sweep"}
    named = [
        {**point, "name": f"{names.get(point['name'], point['name'])} {point['hmean']:.4f}"}
        for point in view["named"]
    ]
    return {**view, "named": named}


def _kinds(searched: Dimension, current: Thresholds) -> tuple[bool, ...]:
    given = searched.choices if isinstance(searched, Choice) else (False, True)
    return tuple(
        kind for kind in (False, True) if kind == current.use_polygon or (not kind and kind in given)
    )


def _coarse(dimension: Dimension, most: int) -> Dimension:
    """A range in at most so many values; what has fewer stays."""
    if not isinstance(dimension, FloatRange):
        return dimension
    step = round((dimension.high - dimension.low) / (most - 1), 6)
    return dimension if (dimension.step or 0) >= step else dimension.model_copy(update={"step": step})
