"""Scores of images by fold: a point an image, a bar at each fold's mean.

H-means are 0..1. Points are set aside from one another by their order, so that equal pictures come of equal
scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from optdet.drawing.figure import new_figure, rendered, set_heading
from optdet.drawing.palette import BLUE, GREY, VERMILLION, hex_colour
from optdet.drawing.png import write_png

_WIDTH = 0.7
_GOLDEN = 0.6180339887498949
"""Multiples of it, less their whole part, are spread evenly however many there are."""


def draw_fold_strip(hmeans: Mapping[int, Sequence[float]], path: Path) -> None:
    """Write a PNG of 1000 x 500 pixels of each fold's images, at least one a fold."""
    figure = new_figure(height=500)
    axes = figure.subplots()
    means = {fold: float(np.mean(values)) for fold, values in hmeans.items()}
    every = np.concatenate([np.asarray(values, dtype=np.float64) for values in hmeans.values()])
    worst = min(means, key=lambda fold: (means[fold], fold))
    set_heading(axes, f"H-mean of each image, out of fold: {every.mean():.4f}; worst fold {worst}")
    for place, (fold, values) in enumerate(hmeans.items()):
        _draw_fold(axes, place, np.sort(values), means[fold])
    axes.axhline(float(every.mean()), color=hex_colour(GREY), linewidth=0.9, linestyle=":")
    axes.set_xticks(
        range(len(hmeans)),
        [f"fold {fold}\n{means[fold]:.4f}, {len(values)} images" for fold, values in hmeans.items()],
    )
    axes.set_xlim(-0.6, len(hmeans) - 0.4)
    # A few images far below the rest must not press the rest into a line; they lie below the picture.
    low = float(np.quantile(every, 0.02))
    axes.set_ylim(max(-0.02, low - 0.35 * (1 - low)), 1.01)
    axes.set_ylabel("H-mean (bar: mean; lines: quartiles)", fontsize=11)
    write_png(path, rendered(figure))


def _draw_fold(axes: Axes, place: int, values: np.ndarray, mean: float) -> None:
    aside = (np.arange(len(values)) * _GOLDEN) % 1 - 0.5
    axes.scatter(place + _WIDTH * aside, values, s=14, color=hex_colour(BLUE), alpha=0.55, linewidths=0)
    quarter, middle, three = np.quantile(values, [0.25, 0.5, 0.75])
    left, right = place - _WIDTH / 2, place + _WIDTH / 2
    axes.hlines([quarter, middle, three], left, right, color=hex_colour(GREY), linewidth=[0.8, 1.4, 0.8])
    axes.hlines([mean], left, right, color=hex_colour(VERMILLION), linewidth=2)
