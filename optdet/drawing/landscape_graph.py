"""H-mean over thresh and box_thresh as a graph of Plotly, for a page that draws it: plain values for JSON.

At each place the best over the other thresholds is shown, with these, precision and recall under the pointer.
Marks are those of ``sweep_marks``, as in the report, and the legend has their names and scores.
A page keeps many graphs, so this one is small: at most 60 kB of JSON, whatever was swept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from optdet.drawing.palette import BLACK, WHITE, hex_colour
from optdet.drawing.scale import top_scale
from optdet.drawing.sweep_landscape import scale_of
from optdet.drawing.sweep_marks import HIGHEST, is_chosen, mark_of, short_name
from optdet.drawing.sweep_view import FloatArray, NamedPoint, SweepView

Graph = dict[str, Any]

MAX_SIDE = 24
"""Cells along an axis; the best and the other marked points are always among them."""
MAX_POINTS = 300
"""Points, those with the best scores."""
_DEPTH = 0.1
"""How far below the best the colours of single points end, as a share of it: the rest is dark alike."""
_COLOURS = "Cividis"
_HOVER = (
    "%{text}thresh %{x:.4~f}, box_thresh %{y:.4~f}<br><b>H %{customdata[0]:.4f}</b>  P %{customdata[1]:.4f}  "
    "R %{customdata[2]:.4f}<br>unclip_ratio %{customdata[3]:.3~f}<extra></extra>"
)
Place = tuple[float, float]
Cells = dict[Place, NamedPoint]


def sweep_graph(view: SweepView) -> Graph:
    """A heat map of a whole sweep with its named points."""
    named = view.with_best()
    marked = [point for point in named if is_chosen(point.name)]
    columns = _some(view.thresh, [point.thresh for point in marked])
    rows = _some(view.box_thresh, [point.box_thresh for point in marked])
    ratio = view.hmean.argmax(axis=1)
    cells = {
        (float(view.thresh[k]), float(view.box_thresh[b])): NamedPoint(
            "",
            float(view.thresh[k]),
            float(view.box_thresh[b]),
            float(view.unclip_ratio[ratio[k, b]]),
            *(float(values[k, ratio[k, b], b]) for values in (view.precision, view.recall, view.hmean)),
        )
        for k in columns
        for b in rows
    }
    scale = scale_of(view)
    heat = _heat(cells, float(scale.vmin or 0), float(scale.vmax or 1))
    return _graph(view.title, [heat, *_marks(named)])


def points_graph(points: Sequence[NamedPoint], title: str) -> Graph:
    """The same of points that were tried one by one: a heat map where they fill a lattice, else a scatter.

    A cell shows the highest point that was tried within it, so that no mark lies on a colour below its own.
    Those with a name are marked, and the highest of all.
    """
    places = _best_by_place(points)
    best = max(places.values(), key=lambda point: point.hmean, default=None)
    if best is None:
        return _graph(title, [])
    scale = top_scale([point.hmean for point in places.values()], depth=_DEPTH * best.hmean)
    low, high = float(scale.vmin or 0), float(scale.vmax or 1)
    marks = _marks([*(point for point in points if point.name), replace(best, name=HIGHEST)])
    cells = _lattice(places)
    if cells:
        return _graph(title, [_heat(_highest_within(cells, places), low, high), *marks])
    ranked = sorted(places.values(), key=lambda point: point.hmean)[-MAX_POINTS:]
    colours = {
        "color": [round(point.hmean, 5) for point in ranked],
        "colorscale": _COLOURS,
        "cmin": low,
        "cmax": high,
        "colorbar": {"thickness": 12, "tickformat": ".3f"},
        "size": 11,
        "line": {"color": "white", "width": 1},
    }
    scatter = _points(ranked) | {"marker": colours}
    return _graph(title, [scatter, *marks])


def _highest_within(cells: Mapping[Place, NamedPoint], places: Mapping[Place, NamedPoint]) -> Cells:
    """For each cell of a lattice the highest of the points whose nearest cell it is."""
    axes = [np.array(sorted({cell[axis] for cell in cells})) for axis in (0, 1)]
    highest = dict(cells)
    for place, point in places.items():
        column, row = (float(axis[np.abs(axis - at).argmin()]) for axis, at in zip(axes, place, strict=True))
        if point.hmean > highest[column, row].hmean:
            highest[column, row] = point
    return highest


def _best_by_place(points: Iterable[NamedPoint]) -> dict[Place, NamedPoint]:
    places: dict[Place, NamedPoint] = {}
    for point in points:
        # Rounded, so that .1 + .2 and .3 are one place.
        place = (round(point.thresh, 6), round(point.box_thresh, 6))
        if place not in places or point.hmean > places[place].hmean:
            places[place] = point
    return places


def _lattice(places: Mapping[Place, NamedPoint]) -> dict[Place, NamedPoint]:
    """The places that fill a lattice of at least 4 x 4; empty where they do not.

    Beside those of a spread lattice there are single ones, as the thresholds in use: an axis value counts
    where several places share it.
    """
    columns, rows = (
        [value for value, number in Counter(place[axis] for place in places).items() if number >= 4]
        for axis in (0, 1)
    )
    wanted = [(column, row) for column in sorted(columns) for row in sorted(rows)]
    is_full = min(len(columns), len(rows)) >= 4 and all(place in places for place in wanted)
    is_small = max(len(columns), len(rows), 0) <= MAX_SIDE
    return {place: places[place] for place in wanted} if is_full and is_small else {}


def _some(axis: FloatArray, wanted: Sequence[float]) -> list[int]:
    """Indices evenly along an axis, among them the nearest to each of ``wanted``."""
    nearest = {int(np.abs(axis - value).argmin()) for value in wanted}
    evenly = np.linspace(0, len(axis) - 1, min(len(axis), MAX_SIDE - len(nearest)))
    return sorted({round(index) for index in evenly.tolist()} | nearest)


def _heat(cells: Mapping[Place, NamedPoint], low: float, high: float) -> Graph:
    columns, rows = (sorted({place[axis] for place in cells}) for axis in (0, 1))
    table = [[cells[column, row] for column in columns] for row in rows]
    return {
        "type": "heatmap",
        "x": [round(column, 6) for column in columns],
        "y": [round(row, 6) for row in rows],
        "z": [[round(point.hmean, 5) for point in line] for line in table],
        "text": [[_where(cells[column, row], (column, row)) for column in columns] for row in rows],
        "customdata": [[_scores(point) for point in line] for line in table],
        "colorscale": _COLOURS,
        "zmin": low,
        "zmax": high,
        "colorbar": {"thickness": 12, "tickformat": ".3f"},
        "hovertemplate": _HOVER,
    }


def _where(point: NamedPoint, cell: Place) -> str:
    """Where a cell's point was tried, if not at its middle."""
    if (round(point.thresh, 6), round(point.box_thresh, 6)) == (round(cell[0], 6), round(cell[1], 6)):
        return ""
    return f"tried at thresh {point.thresh:.4g}, box_thresh {point.box_thresh:.4g}, in the cell about<br>"


def _marks(named: Sequence[NamedPoint]) -> list[Graph]:
    """A trace for each point with a mark of its own, over one of all candidates."""
    candidates = [point for point in named if not is_chosen(point.name)]
    chosen = sorted(
        (point for point in named if is_chosen(point.name)), key=lambda point: mark_of(point.name).layer
    )
    dots = {
        "symbol": "circle",
        "size": 8,
        "color": hex_colour(WHITE),
        "line": {"color": hex_colour(BLACK), "width": 1.5},
    }
    return [
        *(
            [_points(candidates) | {"marker": dots, "name": "candidates", "showlegend": True}]
            if candidates
            else []
        ),
        *(_points([point]) | _look(point) for point in chosen),
    ]


def _look(point: NamedPoint) -> Graph:
    mark = mark_of(point.name)
    return {
        "marker": {
            "symbol": mark.symbol,
            "size": mark.size,
            "color": hex_colour(mark.colour),
            "line": {"color": hex_colour(WHITE), "width": 1.5},
        },
        "name": f"{_plain(short_name(point.name))} {point.hmean:.4f}",
        "showlegend": True,
    }


def _points(points: Sequence[NamedPoint]) -> Graph:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [round(point.thresh, 6) for point in points],
        "y": [round(point.box_thresh, 6) for point in points],
        "text": [f"<b>{_plain(point.name)}</b><br>" if point.name else "" for point in points],
        "customdata": [_scores(point) for point in points],
        "hovertemplate": _HOVER,
        "showlegend": False,
    }


def _scores(point: NamedPoint) -> list[float]:
    values = (point.hmean, point.precision, point.recall, point.unclip_ratio)
    return [round(value, 5) for value in values]


def _plain(name: str) -> str:
    """Plotly reads tags in its texts, and breaks lines at no other sign."""
    return name.replace("&", "&amp;").replace("<", "&lt;").replace("\n", "<br>")


def _graph(title: str, traces: list[Graph]) -> Graph:
    axis = {"zeroline": False, "ticks": "outside", "showgrid": False}
    return {
        "data": traces,
        "layout": {
            "title": {"text": _plain(title), "font": {"size": 14}, "x": 0.02},
            "xaxis": {"title": {"text": "thresh"}, **axis},
            "yaxis": {"title": {"text": "box_thresh"}, **axis},
            "margin": {"l": 60, "r": 10, "t": 95, "b": 50},
            "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
            "hovermode": "closest",
        },
    }
