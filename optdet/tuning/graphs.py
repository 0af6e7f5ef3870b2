"""The landscape of thresholds as a graph beside a study's trials in optuna-dashboard.

A study shows that of its best trial, of the points that its tuning kept; a study of threshold tuning its own.
The dashboard loads every graph of every study with each page, so a graph is some kilobytes of JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial

from optdet.drawing.sweep_view import NamedPoint
from optdet.metrics.scores import METRIC_NAMES
from optdet.store.dashboard_rows import save_graph
from optdet.store.registry import load_inner_trials
from optdet.structures import Thresholds
from optdet.tuning import attributes as attr
from optdet.tuning.tried import Tried

if TYPE_CHECKING:
    from optdet.drawing.landscape_graph import Graph
    from optdet.tuning.postprocess import PostprocessReport
    from optdet.tuning.study import OpenStudy

LANDSCAPE = "landscape"


def show_best(study: OpenStudy, trial: FrozenTrial) -> None:
    """The landscape of a study's best trial; nothing for one whose thresholds were not tuned."""
    rows = load_inner_trials(study.storage, study.uuid, trial.number)
    tried = [Tried(row.thresholds, row.scores) for row in rows]
    if len(tried) > 1:
        title = f"the best trial, {study.name}:{trial.number}"
        show_tried(study.storage, study.study_id, tried, title, in_use=trial.user_attrs.get(attr.THRESHOLDS))


def show_tried(
    storage: RDBStorage,
    study_id: int,
    tried: Sequence[Tried],
    title: str,
    *,
    in_use: Mapping[str, Any] | None = None,
) -> None:
    """What a trial's tuning tried, and of that what is ``in_use``."""
    chosen = None if in_use is None else Thresholds.from_dict(in_use)
    _save(storage, study_id, LANDSCAPE, _tried_graph(tried, title, chosen))


def show_report(storage: RDBStorage, study_id: int, report: PostprocessReport) -> None:
    """Of ``postprocess tune`` every landscape, quads and polygons apart; else what it tried."""
    # Not above: matplotlib, whose scales these take, is half a second.
    from optdet.drawing.landscape_graph import sweep_graph
    from optdet.tuning.sweep_views import sweep_view

    for landscape in report.landscapes:
        kind = "polygons" if landscape.lattice.use_polygon else "quads"
        graph = sweep_graph(sweep_view(report, landscape))
        _save(storage, study_id, f"{LANDSCAPE}-{kind}", graph)
    if not report.landscapes:
        title = f"{report.title}, {METRIC_NAMES[report.metric]}"
        chosen = report.entry(report.selected).thresholds
        _save(storage, study_id, LANDSCAPE, _tried_graph(report.tuned.tried, title, chosen))


def _tried_graph(tried: Sequence[Tried], of: str, in_use: Thresholds | None) -> Graph:
    """One landscape: of the outlines in use, else of those with the highest score. The title says
    what the others reach."""
    from optdet.drawing.landscape_graph import points_graph
    from optdet.drawing.sweep_marks import CHOSEN

    if not tried:
        return points_graph([], f"Thresholds of {of}: none was tried")
    best = max(tried, key=lambda entry: entry.scores.hmean)
    is_polygon = (best.thresholds if in_use is None else in_use).use_polygon
    points = []
    for entry in tried:
        at, scores = entry.thresholds, entry.scores
        if at.use_polygon != is_polygon:
            continue
        place = (at.thresh, at.box_thresh, at.unclip_ratio)
        name = CHOSEN if at == in_use else ""
        points.append(NamedPoint(name, *place, scores.precision, scores.recall, scores.hmean))
    return points_graph(points, f"Thresholds of {of}: {_highest(tried, is_polygon)}")


def _highest(tried: Sequence[Tried], is_polygon: bool) -> str:
    """``H-mean of quads up to 0.9676``, and beneath ``not shown: polygons up to 0.9692``."""

    def up_to(kind: bool) -> str | None:
        scores = [entry.scores.hmean for entry in tried if entry.thresholds.use_polygon == kind]
        return f"{'polygons' if kind else 'quads'} up to {max(scores):.4f}" if scores else None

    other = up_to(not is_polygon)
    return f"H-mean of {up_to(is_polygon)}" + ("" if other is None else f"\nnot shown: {other}")


def _save(storage: RDBStorage, study_id: int, graph_id: str, graph: Graph) -> None:
    save_graph(storage, study_id, graph_id, json.dumps(graph, allow_nan=False, separators=(",", ":")))
