"""H-mean over thresh and box_thresh: how sharp the best point is, and what lies around it.

Points are what an inner study measured, a lattice or scattered. Where several share a place (other
``unclip_ratio``) the best of them is shown. Thresholds and H-mean are 0..1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from optdet.drawing.figure import new_figure, rendered, say_empty, set_heading
from optdet.drawing.palette import VERMILLION, hex_colour
from optdet.drawing.png import write_png
from optdet.drawing.scale import top_scale

_COLOURS = "cividis"
_LARGEST_TABLE = 14
"""Rows or columns up to which a lattice is drawn as a table of labelled cells."""
_LABELS = 5
"""How many of the best scattered points are labelled, where there is room."""

Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class LandscapePoint:
    """One measured configuration."""

    thresh: float
    box_thresh: float
    hmean: float


def draw_landscape(
    points: Sequence[LandscapePoint],
    path: Path,
    *,
    outlines: str = "",
    chosen: LandscapePoint | None = None,
) -> None:
    """Write a PNG of 1000 x 700 pixels: a table of cells if the points fill a lattice, else a scatter. The
    heading says of which ``outlines``, and where the ``chosen`` point is another than the best."""
    figure = new_figure()
    axes = figure.subplots()
    if not points:
        say_empty(axes, "no thresholds were measured yet")
    else:
        places = _best_by_place(points)
        best = max(places, key=lambda place: places[place])
        set_heading(axes, _heading(places[best], best, outlines, chosen))
        axes.set_xlabel("thresh", fontsize=11)
        axes.set_ylabel("box_thresh", fontsize=11)
        scale = top_scale(list(places.values()))
        if _is_table(places):
            _draw_table(axes, places, best, scale)
        else:
            _draw_scatter(axes, places, best, scale)
        extend = "min" if scale(min(places.values())) < 0 else "neither"
        bar = figure.colorbar(ScalarMappable(scale, _COLOURS), ax=axes, extend=extend, pad=0.02)
        bar.ax.tick_params(labelsize=10)
    write_png(path, rendered(figure))


def _heading(highest: float, best: Place, outlines: str, chosen: LandscapePoint | None) -> str:
    what = f"H-mean of {outlines}" if outlines else "H-mean"
    at = f"{highest:.4f} at thresh {best[0]:.3g}, box_thresh {best[1]:.3g}"
    if chosen is None or (chosen.hmean == highest and _place(chosen) == best):
        return f"{what}: best {at}"
    return (
        f"{what}: highest {at};\n"
        f"chosen {chosen.hmean:.4f} at thresh {chosen.thresh:.3g}, box_thresh {chosen.box_thresh:.3g}"
    )


def _place(point: LandscapePoint) -> Place:
    return (round(point.thresh, 6), round(point.box_thresh, 6))  # so that .1 + .2 and .3 are one


def _best_by_place(points: Sequence[LandscapePoint]) -> dict[Place, float]:
    places: dict[Place, float] = {}
    for point in points:
        place = _place(point)
        places[place] = max(point.hmean, places.get(place, point.hmean))
    return places


def _axis_values(places: Mapping[Place, float]) -> tuple[list[float], list[float]]:
    return sorted({place[0] for place in places}), sorted({place[1] for place in places})


def _is_table(places: Mapping[Place, float]) -> bool:
    columns, rows = _axis_values(places)
    return 1 < max(len(columns), len(rows)) <= _LARGEST_TABLE and len(places) == len(columns) * len(rows)


def _draw_table(axes: Axes, places: Mapping[Place, float], best: Place, scale: Normalize) -> None:
    columns, rows = _axis_values(places)
    values = np.array([[places[column, row] for column in columns] for row in rows])
    axes.pcolormesh(values, cmap=_COLOURS, norm=scale, edgecolors="white", linewidth=1)
    axes.grid(visible=False)
    axes.set_xticks(np.arange(len(columns)) + 0.5, [f"{column:g}" for column in columns])
    axes.set_yticks(np.arange(len(rows)) + 0.5, [f"{row:g}" for row in rows])
    size = 12 if max(len(columns), len(rows)) <= 9 else 9
    for (row, column), value in np.ndenumerate(values):
        shade = _ink(colormaps[_COLOURS](float(scale(value))))
        axes.text(
            column + 0.5, row + 0.5, f"{value:.3f}", ha="center", va="center", fontsize=size, color=shade
        )
    corner = (columns.index(best[0]), rows.index(best[1]))
    axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=hex_colour(VERMILLION), linewidth=3))


def _ink(rgba: tuple[float, float, float, float]) -> str:
    """Black or white, whichever reads better on the colour (Rec. 709 luma)."""
    return "black" if 0.2126 * rgba[0] + 0.7152 * rgba[1] + 0.0722 * rgba[2] > 0.45 else "white"


def _draw_scatter(axes: Axes, places: Mapping[Place, float], best: Place, scale: Normalize) -> None:
    # Ascending, so that the good ones lie on top.
    ranked = sorted(places, key=lambda place: places[place])
    _draw_points(axes, {place: places[place] for place in ranked}, scale, edge="white", layer=2)
    axes.scatter(*best, marker="*", s=330, color=hex_colour(VERMILLION), edgecolors="white", zorder=6)
    axes.margins(0.12)
    labelled = _apart(axes, [best, *(place for place in reversed(ranked) if place != best)])
    # Ringed and on top of all labels: which point a number belongs to must be plain in a crowd.
    rings = {place: places[place] for place in labelled if place != best}
    _draw_points(axes, rings, scale, edge="black", layer=5)
    for place in labelled:
        axes.annotate(
            f"{places[place]:.4f}",
            place,
            xytext=(0, 11),
            textcoords="offset points",
            ha="center",
            fontsize=10,
            fontweight="bold" if place == best else "normal",
            color="black",
            zorder=4,
            # A halo rather than a box, which would hide the points beneath.
            path_effects=[withStroke(linewidth=3, foreground="white", alpha=0.8)],
        )


def _draw_points(
    axes: Axes, places: Mapping[Place, float], scale: Normalize, *, edge: str, layer: float
) -> None:
    axes.scatter(
        [place[0] for place in places],
        [place[1] for place in places],
        c=list(places.values()),
        cmap=_COLOURS,
        norm=scale,
        s=70,
        edgecolors=edge,
        linewidths=1.0,
        zorder=layer,
    )


def _apart(axes: Axes, ranked: Sequence[Place]) -> list[Place]:
    """The first places in rank order whose labels do not touch, as shares of the axes' ranges."""
    axes.autoscale_view()
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    ranges: NDArray[np.float64] = np.array([right - left, top - bottom])
    label_size = np.array([0.09, 0.06])
    chosen: list[Place] = []
    for place in ranked:
        offsets = np.abs(np.reshape(chosen, (-1, 2)) - place) / ranges
        if (offsets >= label_size).any(axis=1).all():
            chosen.append(place)
        if len(chosen) == _LABELS:
            break
    return chosen
