"""A dense sweep as a picture: H-mean over thresh and box_thresh, and what precision costs in recall.

Left, at each place the best H-mean over ``unclip_ratio``, with contours that tell how much of the difference
the choice of images explains. Right, all points and their front; a point's macro H-mean need not be that of
the grey lines, which are 2PR/(P+R). Grey areas are what a constraint excludes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from optdet.drawing.figure import new_figure, rendered, set_heading
from optdet.drawing.palette import BLUE, GREY, VERMILLION, hex_colour
from optdet.drawing.png import write_png
from optdet.drawing.scale import top_scale
from optdet.drawing.sweep_marks import draw_marks, label_marks, short_name
from optdet.drawing.sweep_view import FloatArray, SweepView, precision_recall_front
from optdet.drawing.typeface import readable

WIDTH = 1400
HEIGHT = 700
COLOURS = "cividis"
COLOUR_DEPTH = 10
"""Standard errors below the best at which the colours end."""
_DEPTHS = (1, 2, 5)
"""Contours, in standard errors below the best; without one, in steps of _STEP."""
_STEP = 0.002
_DASHES: tuple[Literal["-", "--", ":"], ...] = ("-", "--", ":")
_EXCLUDED = "#cfcfcf"
"""Lighter than any grey among the colours of the heat map."""


def draw_sweep(view: SweepView, path: Path) -> None:
    """Write a PNG of 1400 x 700 pixels with two panels.

    Raises:
        OptdetError: The file cannot be written.
    """
    figure = new_figure(width=WIDTH, height=HEIGHT)
    if view.title:
        figure.suptitle(readable(view.title), x=0.01, ha="left", fontsize=14, parse_math=False)
    heat_axes, front_axes = figure.subplots(1, 2)
    scale = scale_of(view)
    _draw_heat(heat_axes, view, scale)
    _draw_front(front_axes, view, scale)
    _label(figure, heat_axes, front_axes, view)
    write_png(path, rendered(figure))


def scale_of(view: SweepView) -> Normalize:
    """The colours of the heat map: about the best, at most ten standard errors deep."""
    depth = None if view.standard_error is None else COLOUR_DEPTH * view.standard_error
    return top_scale(view.hmean.max(axis=1), depth=depth)


def _draw_heat(axes: Axes, view: SweepView, scale: Normalize) -> None:
    # The empty line keeps room for the flag.
    line = "H-mean, best over unclip_ratio"
    set_heading(axes, f"\n{line}" if view.reached_bounds() else line)
    axes.grid(visible=False)
    axes.set_xlabel("thresh", fontsize=11)
    axes.set_ylabel("box_thresh", fontsize=11)
    columns, rows = cell_edges(view.thresh), cell_edges(view.box_thresh)
    hmean = view.hmean.max(axis=1).T
    axes.pcolormesh(columns, rows, hmean, cmap=COLOURS, norm=scale, rasterized=True)
    excluded = ~view.meets_constraint().any(axis=1).T
    if excluded.any():
        veil = np.ma.masked_array(np.ones(excluded.shape), ~excluded)
        axes.pcolormesh(columns, rows, veil, cmap=ListedColormap([_EXCLUDED]), alpha=0.85, rasterized=True)
    _draw_contours(axes, view, hmean)
    _draw_bounds(axes, view, columns, rows)
    draw_marks(axes, view.with_best(), x="thresh", y="box_thresh")
    extend = "min" if scale(float(hmean.min())) < 0 else "neither"
    bar = axes.figure.colorbar(ScalarMappable(scale, COLOURS), ax=axes, extend=extend, pad=0.02)
    bar.ax.tick_params(labelsize=10)


def _draw_contours(axes: Axes, view: SweepView, hmean: FloatArray) -> None:
    """Lines of equal H-mean below the best, and what they mean beneath the panel."""
    unit = _STEP if view.standard_error is None else view.standard_error
    best = view.highest()
    handles = []
    for depth, dashes in zip(_DEPTHS, _DASHES, strict=True):
        level = best - depth * unit
        if unit <= 0 or min(hmean.shape) < 2 or not hmean.min() < level < hmean.max():
            continue
        lines = axes.contour(
            view.thresh,
            view.box_thresh,
            hmean,
            levels=[level],
            colors="black",
            linewidths=1.3,
            linestyles=dashes,
        )
        lines.set_path_effects([withStroke(linewidth=2.6, foreground="white", alpha=0.7)])
        text = f"{depth * unit:.3f}" if view.standard_error is None else f"{depth} SE"
        label = f"best − {text}: {level:.4f}"
        handles.append(Line2D([], [], color="black", linewidth=1.3, linestyle=dashes, label=label))
    if handles:
        _legend_beneath(axes, handles)


def _draw_bounds(axes: Axes, view: SweepView, columns: FloatArray, rows: FloatArray) -> None:
    """The lattice's frame within the axes; the sides that the best leans on are thick, and said."""
    (left, right), (bottom, top) = columns[[0, -1]], rows[[0, -1]]
    axes.set_xlim(left - 0.04 * (right - left), right + 0.04 * (right - left))
    axes.set_ylim(bottom - 0.04 * (top - bottom), top + 0.04 * (top - bottom))
    axes.set_facecolor("#eeeeee")
    axes.add_patch(Rectangle((left, bottom), right - left, top - bottom, fill=False, linewidth=1.2, zorder=5))
    reached = view.reached_bounds()
    sides = {
        ("thresh", "low"): ([left, left], [bottom, top]),
        ("thresh", "high"): ([right, right], [bottom, top]),
        ("box_thresh", "low"): ([left, right], [bottom, bottom]),
        ("box_thresh", "high"): ([left, right], [top, top]),
    }
    for bound in reached:
        if (bound.axis, bound.side) in sides:
            axes.plot(*sides[bound.axis, bound.side], color=hex_colour(VERMILLION), linewidth=4, zorder=6)
    if reached:
        axes.annotate(
            f"⚑ the best lies at a bound: {', '.join(str(bound) for bound in reached)}",
            (0, 1),
            xycoords="axes fraction",
            xytext=(0, 24),  # above the heading
            textcoords="offset points",
            fontsize=11,
            fontweight="bold",
            color=hex_colour(VERMILLION),
            # It may be wider than the panel, and would squeeze it.
            in_layout=False,
        )


def _legend_beneath(axes: Axes, handles: Sequence[Artist]) -> None:
    axes.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.09),
        ncols=4,
        fontsize=9.5,
        frameon=False,
        # Wider than the panel, it would squeeze it.
        handlelength=1.6,
        handletextpad=0.5,
        columnspacing=1.1,
    )


def cell_edges(values: FloatArray) -> FloatArray:
    """The borders of cells about ascending values, (N + 1,); a single value gets a cell 0.01 wide."""
    if len(values) == 1:
        return np.array([values[0] - 0.005, values[0] + 0.005])
    between = (values[1:] + values[:-1]) / 2
    return np.concatenate([[2 * values[0] - between[0]], between, [2 * values[-1] - between[-1]]])


def _draw_front(axes: Axes, view: SweepView, scale: Normalize) -> None:
    set_heading(axes, "Precision and recall of all points, and their front")
    axes.set_xlabel("recall", fontsize=11)
    axes.set_ylabel("precision", fontsize=11)
    (left, right), (bottom, top) = front_limits(view, scale)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    recall, precision = view.recall.ravel(), view.precision.ravel()
    inside = (recall >= left) & (recall <= right) & (precision >= bottom) & (precision <= top)
    if inside.any():
        axes.hexbin(
            recall[inside],
            precision[inside],
            gridsize=(75, 55),
            extent=(left, right, bottom, top),
            mincnt=1,
            # From far below one, so that a lone point is darker than what is excluded.
            norm=LogNorm(0.01, max(10.0, inside.sum() / 50)),
            cmap="Greys",
            linewidths=0.1,
            zorder=1,
        )
    _draw_iso_lines(axes)
    front = precision_recall_front(view.precision, view.recall)
    axes.step(
        recall[front],
        precision[front],
        where="pre",
        color=hex_colour(BLUE),
        linewidth=2,
        zorder=4,
        label="front",
    )
    axes.plot(recall[front], precision[front], ".", color=hex_colour(BLUE), markersize=5, zorder=4)
    _draw_constraint(axes, view)
    draw_marks(axes, view.with_best(), x="recall", y="precision")


def front_limits(view: SweepView, scale: Normalize) -> tuple[tuple[float, float], tuple[float, float]]:
    """Ranges of recall and precision that hold what the colours tell apart, the marks and the constraint."""
    shown = view.hmean >= float(scale.vmin or 0.0)
    limits = []
    for metric in ("recall", "precision"):
        values = [*getattr(view, metric)[shown].tolist(), *(getattr(p, metric) for p in view.with_best())]
        if view.constraint is not None and view.constraint.metric == metric:
            values.append(view.constraint.bound)
        margin = 0.06 * (max(values) - min(values)) + 0.001
        limits.append((min(values) - margin, max(values) + margin))
    return limits[0], limits[1]


def _draw_iso_lines(axes: Axes) -> None:
    """Lines of equal 2PR/(P+R), as many as have room, with their values at the upper or right edge."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    recall = np.linspace(max(left, 1e-3), right, 200)
    low, high = (_harmonic(*corner) for corner in ((left, bottom), (right, top)))
    step = next(
        (s for s in (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1) if (high - low) / s <= 9), 0.2
    )
    for level in np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step:
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = level * recall / (2 * recall - level)
        precision[(2 * recall <= level) | (precision < bottom) | (precision > top)] = np.nan
        axes.plot(recall, precision, color="#9a9a9a", linewidth=0.8, zorder=2)
        known = np.flatnonzero(np.isfinite(precision))
        if len(known):
            at = known[int(0.97 * (len(known) - 1))]
            axes.text(
                recall[at],
                precision[at],
                f"{level:.4g}",
                fontsize=9,
                color=hex_colour(GREY),
                ha="center",
                va="center",
                zorder=3,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
            )


def _harmonic(recall: float, precision: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision > 0 and recall > 0 else 0.0


def _draw_constraint(axes: Axes, view: SweepView) -> None:
    """The excluded half-plane, where the constraint is about an axis of this panel."""
    constraint = view.constraint
    if constraint is None or constraint.metric not in {"recall", "precision"}:
        return
    recall = constraint.metric == "recall"
    low, high = axes.get_xlim() if recall else axes.get_ylim()
    end = low if constraint.at_least else high
    span = (axes.axvspan if recall else axes.axhspan)(end, constraint.bound)
    edge = (axes.axvline if recall else axes.axhline)(constraint.bound)
    edge.set(color="black", linewidth=1.2, linestyle=(0, (6, 4)), zorder=3.5)  # the cloud may hide the grey
    span.set(facecolor=_EXCLUDED, edgecolor="none", zorder=0.5)


def _label(figure: Figure, heat_axes: Axes, front_axes: Axes, view: SweepView) -> None:
    points = view.with_best()
    grey = Line2D([], [], color="#9a9a9a", linewidth=0.8, label="equal 2PR/(P+R)")
    cloud = Line2D([], [], color="#777777", marker="h", linestyle="none", label="points (darker: more)")
    handles: list[Artist] = [*front_axes.get_legend_handles_labels()[0], cloud, grey]
    if view.constraint is not None:
        text = f"excluded: {view.constraint.excluded}"
        handles.append(Rectangle((0, 0), 1, 1, facecolor=_EXCLUDED, label=text))
    _legend_beneath(front_axes, handles)
    # Lay out once and keep it: labels are placed in pixels, and must not move the axes they are placed in.
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    figure.set_layout_engine("none")
    with_score = [f"{short_name(point.name)} {point.hmean:.4f}" for point in points]
    label_marks(heat_axes, points, with_score, x="thresh", y="box_thresh")
    label_marks(front_axes, points, [short_name(p.name) for p in points], x="recall", y="precision")
