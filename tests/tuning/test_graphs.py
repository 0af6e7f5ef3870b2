"""The landscape beside a study's trials: of one kind of outlines, with the chosen point marked."""

from __future__ import annotations

from dataclasses import replace

import plotly.graph_objects as go

from optdet.metrics.scores import PRH
from optdet.structures import Thresholds
from optdet.tuning.graphs import _tried_graph
from optdet.tuning.tried import Tried

PLACE = Thresholds(
    thresh=0.4, box_thresh=0.4, unclip_ratio=2.0, max_candidates=100, use_polygon=True, min_side=3.0
)


def tried(hmean, **changes):
    return Tried(replace(PLACE, **changes), PRH(0.9, 0.9, hmean))


def test_the_landscape_is_that_of_the_outlines_in_use():
    quads = [tried(0.97, use_polygon=False, thresh=0.36), tried(0.9, use_polygon=False)]
    polygons = [tried(0.95), tried(0.96, thresh=0.5)]
    figure = go.Figure(_tried_graph([*quads, *polygons], "a:0", PLACE))
    scatter, *marks = figure.data
    assert sorted(scatter.marker.color) == [0.95, 0.96], "quads are not among them"
    assert [mark.name for mark in marks] == ["highest tried 0.9600", "chosen 0.9500"]
    assert (
        figure.layout.title.text
        == "Thresholds of a:0: H-mean of polygons up to 0.9600<br>not shown: quads up to 0.9700"
    )


def test_where_nothing_is_in_use_it_is_that_of_the_highest():
    figure = go.Figure(_tried_graph([tried(0.97, use_polygon=False), tried(0.9)], "a", None))
    assert figure.layout.title.text.startswith("Thresholds of a: H-mean of quads up to 0.9700")
    assert go.Figure(_tried_graph([], "a", None)).data == ()
