"""The landscape of thresholds as the page draws it: the sweep's own, thinned to what a screen can show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np

from optdet.config import Config
from optdet.drawing.sweep_html import sweep_data
from optdet.drawing.sweep_view import SweepView
from optdet.evaluation.parallel import map_workers
from optdet.evaluation.scorer import ImageScorer
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
    """Of quads and of polygons, as far as the config's space has them: ``title`` and the ``view`` that
    ``sweep_charts.js`` reads. Nothing is chosen here: the whole space is swept, whatever method tuned."""
    search = config.postprocess.tune.model_copy(update={"method": "exhaustive"})
    task = TuningTask(scorers, search, current)
    report = tune_postprocess(title, task, workers=map_workers(), on_trial=on_image)
    return [
        {
            "title": "polygons" if landscape.lattice.use_polygon else "quads",
            "in_use": landscape.lattice.use_polygon == current.use_polygon,
            "view": sweep_data(thinned(sweep_view(report, landscape))),
        }
        for landscape in report.landscapes
    ]


def thinned(view: SweepView) -> SweepView:
    """Every so many-th value of each axis, the last among them; what is named stays."""
    k, u, b = (
        _places(len(view.thresh), MAX_STEPS),
        _places(len(view.unclip_ratio), MAX_RATIOS),
        _places(len(view.box_thresh), MAX_STEPS),
    )
    arrays = {
        name: getattr(view, name)[np.ix_(k, u, b)]
        for name in ("hmean", "precision", "recall", "n_detections")
    }
    return replace(
        view,
        thresh=view.thresh[k],
        unclip_ratio=view.unclip_ratio[u],
        box_thresh=view.box_thresh[b],
        **arrays,
    )


def _places(n: int, most: int) -> list[int]:
    if n <= most:
        return list(range(n))
    return sorted({round(place) for place in np.linspace(0, n - 1, most)})
