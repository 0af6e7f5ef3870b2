"""A dense sweep as a page to look around in: one HTML file that needs no network, now or ever.

The page holds plotly.js, the scores of every point and scripts (``sweep_charts.js``, ``sweep_page.js``) that
draw them; its content security policy forbids it to fetch anything. Scores are rounded to 1e-5. Browsers from
2023 on can read it.
"""

from __future__ import annotations

import html
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plotly.offline import get_plotlyjs

from optdet.drawing.html_file import packed_bytes, write_html
from optdet.drawing.palette import BLUE, hex_colour
from optdet.drawing.sweep_landscape import COLOURS, cell_edges, front_limits, scale_of
from optdet.drawing.sweep_marks import is_chosen, mark_of
from optdet.drawing.sweep_view import NamedPoint, SweepView, precision_recall_front

_DIVISOR = 100_000
"""Scores are sent as whole numbers of 1e-5."""
_CLOUD = 4000
"""How many of the points are drawn beside the front: each costs the browser an element."""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; \
style-src 'unsafe-inline'; img-src data: blob:; \
form-action 'none'">
<title>{title}</title>
<style>
body {{ font-family: sans-serif; margin: 1em 1.5em; }}
h1 {{ font-size: 1.3em; }}
.flag {{ color: #a34700; font-weight: bold; }}
</style>
</head>
<body>
<h1>{title}</h1>
{flag}<p><label>H-mean over thresh and box_thresh, unclip_ratio:
<select id="unclip_ratio">{options}</select></label>. At the right the precision and \
recall of all points, with their front.{constraint}</p>
<div id="plot"></div>
<script>{plotly}</script>
<script type="application/json" id="sweep">{data}</script>
<script>{script}</script>
</body>
</html>
"""


def write_sweep_page(view: SweepView, path: Path) -> None:
    """Write the page, making the folders above it; a reader never sees half a file.

    Raises:
        OptdetError: The file cannot be written; what stood there before still does.
    """
    page = _PAGE.format(
        title=html.escape(view.title or "Sweep of the thresholds"),
        flag=_flag(view),
        options=_options(view),
        constraint=_constraint(view),
        plotly=get_plotlyjs(),
        # "<" could end the script element.
        data=json.dumps(sweep_data(view), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
        script=sweep_charts() + (files("optdet.drawing") / "sweep_page.js").read_text(encoding="utf-8"),
    )
    write_html(page, path, what="the page")


def _flag(view: SweepView) -> str:
    reached = ", ".join(str(bound) for bound in view.reached_bounds())
    return f'<p class="flag">⚑ the best lies at a bound of what was swept: {reached}</p>\n' if reached else ""


def _options(view: SweepView) -> str:
    ratios = (f'<option value="{u}">{ratio:g}</option>' for u, ratio in enumerate(view.unclip_ratio))
    return "".join(['<option value="-1">best over all</option>', *ratios])


def _constraint(view: SweepView) -> str:
    if view.constraint is None:
        return ""
    return f" Grey: excluded, {html.escape(view.constraint.excluded)}."


def sweep_charts() -> str:
    """The script that makes charts of :func:`sweep_data`."""
    return (files("optdet.drawing") / "sweep_charts.js").read_text(encoding="utf-8")


def sweep_data(view: SweepView) -> dict[str, Any]:
    """What ``sweep_charts.js`` reads, for JSON."""
    scale = scale_of(view)
    limits = front_limits(view, scale)
    columns, rows = cell_edges(view.thresh), cell_edges(view.box_thresh)
    scores = {name: _whole(getattr(view, name)) for name in ("hmean", "precision", "recall")}
    scores["n_detections"] = view.n_detections.astype(np.int64)
    best = view.highest()
    return {
        "thresh": _rounded(view.thresh),
        "box_thresh": _rounded(view.box_thresh),
        "unclip_ratio": _rounded(view.unclip_ratio),
        "divisor": _DIVISOR,
        "scores": {name: packed(array) for name, array in scores.items()},
        "colours": COLOURS.capitalize(),
        "low": scale.vmin,
        "high": scale.vmax,
        "contour": None if view.standard_error is None else best - view.standard_error,
        "bounds": [float(columns[0]), float(rows[0]), float(columns[-1]), float(rows[-1])],
        "limits": limits,
        "front": precision_recall_front(view.precision, view.recall).tolist(),
        "front_colour": hex_colour(BLUE),
        "cloud": _cloud(view, limits),
        "constraint": _constraint_data(view),
        "named": [_named(point) for point in view.with_best()],
    }


def packed(values: NDArray[np.int64]) -> str:
    """Differences along the last axis, which are mostly zero, as little-endian int32, gzip, base64."""
    steps = np.diff(values, axis=-1, prepend=0).astype("<i4")
    return packed_bytes(steps.tobytes())


def _whole(values: NDArray[Any]) -> NDArray[np.int64]:
    return np.rint(values.astype(np.float64) * _DIVISOR).astype(np.int64)


def _rounded(values: NDArray[Any]) -> list[float]:
    return [round(float(value), 6) for value in values]


def _cloud(view: SweepView, limits: tuple[tuple[float, float], tuple[float, float]]) -> list[int]:
    """Flat indices of some of the points within the limits, evenly over the lattice."""
    (left, right), (bottom, top) = limits
    recall, precision = view.recall.ravel(), view.precision.ravel()
    inside = np.flatnonzero((recall >= left) & (recall <= right) & (precision >= bottom) & (precision <= top))
    if len(inside) > _CLOUD:
        # At random: a fixed step would keep to few values of the fastest axis.
        inside = np.sort(np.random.default_rng(0).choice(inside, _CLOUD, replace=False))
    return [int(index) for index in inside]


def _constraint_data(view: SweepView) -> dict[str, Any] | None:
    constraint = view.constraint
    if constraint is None:
        return None
    return {
        "metric": constraint.metric,
        "bound": constraint.bound,
        "at_least": constraint.at_least,
        "divisor": 1 if constraint.metric == "n_detections" else _DIVISOR,
    }


def _named(point: NamedPoint) -> dict[str, Any]:
    mark = mark_of(point.name)
    return {
        "name": point.name,
        "thresh": round(point.thresh, 6),
        "box_thresh": round(point.box_thresh, 6),
        "unclip_ratio": round(point.unclip_ratio, 6),
        "precision": point.precision,
        "recall": point.recall,
        "hmean": point.hmean,
        # Candidates stand close together: their names are in the legend, and shown where the pointer is.
        "labelled": is_chosen(point.name),
        "side": mark.side,
        "colour": hex_colour(mark.colour),
        "symbol": mark.symbol,
        "size": mark.size,
    }
