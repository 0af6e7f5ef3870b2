"""A trial's training: H-mean, losses and learning rate by epoch.

H-mean is 0..1; losses are drawn on a logarithmic scale, which leaves out what is not positive and finite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from optdet.drawing.figure import new_figure, rendered, say_empty, set_heading
from optdet.drawing.palette import BLUE, BLUISH_GREEN, OKABE_ITO, VERMILLION, hex_colour
from optdet.drawing.png import write_png


@dataclass(frozen=True, slots=True)
class EpochPoint:
    """One epoch: mean ``losses`` by name, ``hmean`` (None: not validated), ``lr`` at its end, ``seconds``."""

    epoch: int
    losses: Mapping[str, float]
    hmean: float | None
    lr: float
    seconds: float


def draw_curve(history: Sequence[EpochPoint], path: Path) -> None:
    """Write a PNG of 1000 x 700 pixels with three panels over the epochs."""
    figure = new_figure()
    if not history:
        say_empty(figure.subplots(), "no epoch has ended yet")
    else:
        hmean_axes, loss_axes, rate_axes = figure.subplots(3, 1, sharex=True, height_ratios=[5, 4, 2])
        _draw_hmean(hmean_axes, history)
        _draw_losses(loss_axes, history)
        _draw_rate(rate_axes, history)
        figure.align_ylabels()
    write_png(path, rendered(figure))


def _draw_hmean(axes: Axes, history: Sequence[EpochPoint]) -> None:
    scored = [(point.epoch, point.hmean) for point in history if point.hmean is not None]
    if not scored:
        set_heading(axes, "H-mean: no epoch was validated")
        return
    # The first of equals: it is the one whose checkpoint is kept.
    best_epoch, best = max(scored, key=lambda pair: pair[1])
    set_heading(axes, f"H-mean: best {best:.4f} at epoch {best_epoch}")
    axes.plot(*zip(*scored, strict=True), color=hex_colour(BLUE), marker="o", markersize=4)
    axes.axhline(best, color=hex_colour(VERMILLION), linewidth=0.9, linestyle=":")
    axes.plot([best_epoch], [best], color=hex_colour(VERMILLION), marker="*", markersize=15)
    axes.margins(y=0.12)


def _draw_losses(axes: Axes, history: Sequence[EpochPoint]) -> None:
    set_heading(axes, "Losses (logarithmic)")
    epochs = [point.epoch for point in history]
    names = list(dict.fromkeys(name for point in history for name in point.losses))
    markers = "os^Dvp*X"
    drawn = 0
    for index, name in enumerate(names):
        values = np.array([point.losses.get(name, np.nan) for point in history], dtype=np.float64)
        values[~(np.isfinite(values) & (values > 0))] = np.nan
        if np.isnan(values).all():
            continue
        colour = hex_colour(OKABE_ITO[index % len(OKABE_ITO)])
        marker = markers[index % len(markers)]
        axes.plot(epochs, values, color=colour, marker=marker, markersize=4, linewidth=1.4, label=name)
        drawn += 1
    if drawn:
        axes.set_yscale("log")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=10, frameon=False)


def _draw_rate(axes: Axes, history: Sequence[EpochPoint]) -> None:
    set_heading(axes, f"Learning rate: last {history[-1].lr:.3g}")
    epochs = [point.epoch for point in history]
    rates = [point.lr for point in history]
    axes.plot(epochs, rates, color=hex_colour(BLUISH_GREEN), marker="o", markersize=3)
    axes.yaxis.set_major_formatter(lambda rate, _: f"{rate:g}")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
    total = sum(point.seconds for point in history)
    axes.set_xlabel(f"epoch ({total / len(history):.1f} s each, {_duration(total)} in all)", fontsize=11)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
