"""A sweep's landscape as the pictures of ``drawing`` take it: reduced over max_candidates, with its named
points."""

from __future__ import annotations

import numpy as np

from optdet.drawing.sweep_view import Metric, NamedPoint, SweepConstraint, SweepView
from optdet.evaluation.landscape import Landscape
from optdet.metrics.scores import METRIC_NAMES
from optdet.tuning.postprocess import Entry, PostprocessReport, standard_error


def sweep_view(report: PostprocessReport, landscape: Landscape) -> SweepView:
    lattice = landscape.lattice
    constraint = report.constraint
    hmean = landscape.hmean
    if constraint is not None:  # one max_candidates may keep it where another does not
        bounded = "n_detections" if constraint.metric == "boxes" else constraint.metric
        hmean = hmean + constraint.allows(getattr(landscape, bounded))
    best_limit = hmean.argmax(axis=2)[:, :, None, :]

    def reduced(values: np.ndarray) -> np.ndarray:
        return np.take_along_axis(values, best_limit, axis=2)[:, :, 0, :]

    kind = "polygons" if lattice.use_polygon else "quads"
    shown = [
        entry
        for entry in (*report.entries, *report.candidates)
        if entry.thresholds.use_polygon == lattice.use_polygon
    ]
    drawn = None
    if constraint is not None:
        metric: Metric = "n_detections" if constraint.metric == "boxes" else constraint.metric
        drawn = SweepConstraint(metric, constraint.value, constraint.at_least)
    return SweepView(
        thresh=np.array(lattice.thresh),
        box_thresh=np.array(lattice.box_thresh),
        unclip_ratio=np.array(lattice.unclip_ratio),
        hmean=reduced(landscape.hmean),
        precision=reduced(landscape.precision),
        recall=reduced(landscape.recall),
        n_detections=reduced(landscape.n_detections),
        named=tuple(_point(entry) for entry in shown),
        standard_error=standard_error(report.entry("best")),
        constraint=drawn,
        title=f"{report.title}: {METRIC_NAMES[landscape.metric]}, {kind}, {report.n_images} images",
    )


def _point(entry: Entry) -> NamedPoint:
    macro = entry.macro
    return NamedPoint(
        name=entry.name,
        thresh=entry.thresholds.thresh,
        box_thresh=entry.thresholds.box_thresh,
        unclip_ratio=entry.thresholds.unclip_ratio,
        precision=macro.precision,
        recall=macro.recall,
        hmean=macro.hmean,
    )
