"""The graph of a landscape: valid for Plotly, true at every cell, small whatever was swept."""

from __future__ import annotations

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from optdet.drawing.landscape_graph import MAX_POINTS, MAX_SIDE, points_graph, sweep_graph
from optdet.drawing.sweep_view import NamedPoint, SweepView

LARGEST_KB = 60


def sweep(n_thresh, n_unclip, n_box, *, named=()):
    dice = np.random.default_rng(0)
    shape = (n_thresh, n_unclip, n_box)
    return SweepView(
        thresh=np.linspace(0.05, 0.95, n_thresh),
        box_thresh=np.linspace(0.05, 0.95, n_box),
        unclip_ratio=np.linspace(1.0, 3.0, n_unclip),
        hmean=dice.uniform(0.8, 0.97, shape),
        precision=dice.uniform(0.8, 1, shape),
        recall=dice.uniform(0.8, 1, shape),
        n_detections=np.ones(shape, dtype=np.int64),
        named=tuple(named),
        title="<b> & more",
    )


def size_kb(graph):
    return len(json.dumps(graph, allow_nan=False, separators=(",", ":"))) / 1000


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 2, 5), (181, 21, 181)])
def test_a_sweep_is_true_at_every_cell_and_holds_the_best(shape):
    current = NamedPoint("current", 0.333, 0.61, 1.5, 0.9, 0.9, 0.9)
    view = sweep(*shape, named=[NamedPoint("a <i>", 0.3, 0.6, 1.5, 0.9, 0.9, 0.9), current])
    graph = sweep_graph(view)
    figure = go.Figure(graph)
    heat, candidates, *marks = figure.data
    highest = view.hmean.max(axis=1)
    for row, box_thresh in enumerate(heat.y):
        for column, thresh in enumerate(heat.x):
            k = int(np.abs(view.thresh - thresh).argmin())
            b = int(np.abs(view.box_thresh - box_thresh).argmin())
            assert heat.z[row][column] == round(float(highest[k, b]), 5)
            assert heat.customdata[row][column][0] == heat.z[row][column]
    assert max(map(max, heat.z)) == round(float(view.hmean.max()), 5)
    assert len(heat.x) <= MAX_SIDE
    assert len(heat.y) <= MAX_SIDE
    assert [mark.marker.symbol for mark in (candidates, *marks)] == ["circle", "diamond", "star"]
    assert [mark.name for mark in marks] == ["current 0.9000", f"best {view.hmean.max():.4f}"]
    assert candidates.text[0] == "<b>a &lt;i></b><br>"
    # The cell under a mark is that of the lattice's nearest place: its middle is not far away.
    for mark in marks:
        for axis, drawn, (at,) in ((view.thresh, heat.x, mark.x), (view.box_thresh, heat.y, mark.y)):
            assert np.abs(np.array(drawn) - at).min() == pytest.approx(np.abs(axis - at).min(), abs=1e-6)
    assert figure.layout.title.text == "&lt;b> &amp; more"
    assert size_kb(graph) < LARGEST_KB


def points(n_columns, n_rows, hmean=lambda x, y: x - y):
    return [
        NamedPoint("", column / 40, row / 40, 1.5, 0.9, 0.9, hmean(column / 40, row / 40))
        for column in range(n_columns)
        for row in range(n_rows)
    ]


def test_points_of_a_lattice_are_a_heat_map_with_the_highest_and_the_named_ones():
    chosen = NamedPoint("chosen", 0.777, 0.333, 2.0, 0.9, 0.9, 0.05)
    worse = NamedPoint("", 0.0, 0.0, 3.0, 0.9, 0.9, -1.0)  # at a place that has a better one
    heat, highest, mark = go.Figure(points_graph([*points(8, 8), chosen, worse], "title")).data
    assert heat.type == "heatmap"
    assert heat.z[0][7] == round(7 / 40, 5)
    assert heat.z[0][0] == 0.0
    assert [mark.marker.symbol for mark in (highest, mark)] == ["star", "diamond"]
    assert [mark.name for mark in (highest, mark)] == ["highest tried 0.1750", "chosen 0.0500"]
    assert (highest.x[0], highest.y[0]) == (0.175, 0.0)


def test_no_mark_lies_on_a_colour_below_its_own_score():
    beside = NamedPoint("", 0.031, 0.043, 1.8, 0.9, 0.9, 0.97)  # in the cell about (0.025, 0.05)
    heat, highest = go.Figure(points_graph([*points(8, 8), beside], "title")).data
    assert (highest.x[0], highest.y[0], highest.name) == (0.031, 0.043, "highest tried 0.9700")
    row, column = 2, 1
    assert heat.z[row][column] == 0.97
    assert heat.text[row][column].startswith("tried at thresh 0.031, box_thresh 0.043")
    assert heat.z[row][column + 1] == 0.0


def test_the_chosen_point_that_is_the_highest_too_has_both_marks_the_smaller_on_top():
    chosen = NamedPoint("chosen", 0.1, 0.1, 1.5, 0.9, 0.9, 0.5)
    _, highest, mark = go.Figure(points_graph([*points(8, 8), chosen], "title")).data
    assert (highest.name, mark.name) == ("highest tried 0.5000", "chosen 0.5000")
    assert (highest.x, highest.y) == (mark.x, mark.y)
    assert mark.marker.size < highest.marker.size


def test_other_points_are_a_scatter_of_the_best():
    dice = np.random.default_rng(0)
    many = [NamedPoint("", *dice.uniform(0, 1, 6)) for _ in range(5000)]
    graph = points_graph(many, "")
    scatter, _ = go.Figure(graph).data
    assert len(scatter.x) == MAX_POINTS
    assert max(scatter.marker.color) == round(max(point.hmean for point in many), 5)
    assert size_kb(graph) < LARGEST_KB


def test_nothing_and_a_single_point():
    assert go.Figure(points_graph([], "")).data == ()
    assert len(go.Figure(points_graph(points(1, 1), "")).data) == 2
