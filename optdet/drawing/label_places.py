"""Places for labels beside their marks, so that neither labels nor marks hide one another.

Everything is in pixels, (x, y) with y upwards, as matplotlib's display coordinates. A label is a box of a
given size, known by its middle; a leader runs from the mark to the nearest point of the box.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.floating[Any]]

_DISTANCES = np.array([10.0, 16, 24, 34, 46, 60, 76, 94, 114, 136, 160, 190])
"""From the mark to the label's edge."""
_N_DIRECTIONS = 24
_N_OPTIONS = 180
"""Of all distances and directions, the best for a label that is alone."""
_PASSES = 3
"""The first places each label in turn; the later ones move it where the others left a better place."""
_TRIES = 5
"""Orders of labels that are tried: the one given, then shuffled ones."""
_STEPS = np.linspace(0, 1, 9)[:, None]
"""Points along a leader that stand for it."""
_MARK_RADIUS = 8.0

_OUTSIDE, _OVERLAP, _HIDDEN_MARK, _HIDDEN_LEADER, _CROSSING, _THROUGH_MARK = (
    2000.0,
    1000.0,
    400.0,
    300.0,
    200.0,
    300.0,
)
"""Costs, in pixels of distance that avoiding it is worth."""

Area = tuple[float, float, float, float]


def place_labels(marks: Points, sizes: Points, area: Area) -> Points:
    """The middles (N, 2) of labels of ``sizes`` (N, 2) for ``marks`` (N, 2), N > 0.

    ``area`` is left, bottom, right, top.
    The same input gives the same places; where there is no room for all, those that overlap least are taken.
    """
    options = [_options(i, marks, sizes[i], area) for i in range(len(marks))]
    tries = [_placed(options, sizes, start) for start in range(_TRIES if len(marks) > 1 else 1)]
    return min(tries, key=lambda one: one.cost).middles


def nearest_on_box(middle: Points, size: Points, point: Points) -> Points:
    """The point of a box that is nearest to ``point``; arrays broadcast over leading axes."""
    nearest: Points = np.clip(point, middle - size / 2, middle + size / 2)
    return nearest


@dataclass(frozen=True, slots=True, eq=False)
class _Options:
    """Middles (O, 2) to choose from for one label, their leaders (O, steps, 2), what each costs alone."""

    middles: Points
    leaders: Points
    costs: Points


@dataclass(frozen=True, slots=True, eq=False)
class _Try:
    middles: Points
    cost: float


def _placed(options: list[_Options], sizes: Points, start: int) -> _Try:
    """Each label in turn at its cheapest place, pass after pass, in an order that ``start`` tells."""
    n = len(options)
    order = list(range(n)) if start == 0 else np.random.default_rng(start).permutation(n).tolist()
    chosen: dict[int, int] = {}
    total = 0.0
    for _ in range(_PASSES):
        total = 0.0
        for i in order:
            others = [j for j in chosen if j != i]
            costs = options[i].costs
            if others:
                middles = np.stack([options[j].middles[chosen[j]] for j in others])
                leaders = np.stack([options[j].leaders[chosen[j]] for j in others])
                costs = costs + _conflicts(options[i], sizes[i], middles, leaders, sizes[others])
            chosen[i] = int(np.argmin(costs))
            total += float(costs[chosen[i]])
    return _Try(np.stack([options[i].middles[chosen[i]] for i in range(n)]), total)


def _options(own: int, marks: Points, size: Points, area: Area) -> _Options:
    mark = marks[own]
    angles = 2 * np.pi * np.arange(_N_DIRECTIONS) / _N_DIRECTIONS
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)[:, None]
    middles = (mark + directions * (_DISTANCES[:, None] + np.abs(directions) * size / 2)).reshape(-1, 2)
    leaders = mark + _STEPS * (nearest_on_box(middles, size, mark) - mark)[:, None]
    costs = np.tile(_DISTANCES, _N_DIRECTIONS) + _pull(middles, mark, marks.mean(axis=0))
    low, high = np.array(area[:2]), np.array(area[2:])
    costs += _OUTSIDE * ((middles - size / 2 < low) | (middles + size / 2 > high)).any(axis=1)
    hidden = _within(np.abs(middles[:, None] - marks), size / 2 + _MARK_RADIUS)
    costs += _HIDDEN_MARK * hidden.sum(axis=1)
    # Marks at the same place share their leaders' beginnings in any case.
    others = marks[np.hypot(*(marks - mark).T) > _MARK_RADIUS / 2]
    costs += _THROUGH_MARK * (_distances(leaders, others) < 0.6 * _MARK_RADIUS).sum(axis=1)
    kept = np.argsort(costs, kind="stable")[:_N_OPTIONS]
    return _Options(middles[kept], leaders[kept], costs[kept])


def _distances(leaders: Points, points: Points) -> Points:
    """Of each point from each leader (O, M)."""
    starts, ways = leaders[:, :1], leaders[:, -1:] - leaders[:, :1]
    shares = ((points - starts) * ways).sum(axis=2) / np.maximum((ways**2).sum(axis=2), 1e-9)
    gaps = starts + np.clip(shares, 0, 1)[..., None] * ways - points
    distances: Points = np.hypot(gaps[..., 0], gaps[..., 1])
    return distances


def _pull(middles: Points, mark: Points, centre: Points) -> Points:
    """Labels of a crowd stand around it: a small cost for lying on the side of the crowd's middle."""
    outwards = mark - centre
    ways = middles - mark
    lengths = np.hypot(*outwards) * np.hypot(ways[:, 0], ways[:, 1])
    pull: Points = 20 * (1 - ways @ outwards / np.maximum(lengths, 1e-9))
    return pull


def _conflicts(options: _Options, size: Points, middles: Points, leaders: Points, sizes: Points) -> Points:
    """What each option costs (O,) beside J labels already placed, with their leaders (J, steps, 2)."""
    mine = options.middles[:, None]
    overlap = _within(np.abs(mine - middles), (size + sizes) / 2 + 2)
    beneath = _within(np.abs(mine[:, :, None] - leaders), size / 2 + 1).any(axis=2)
    gaps = np.abs(options.leaders[:, None] - middles[:, None])
    above = _within(gaps, sizes[:, None] / 2 + 1).any(axis=2)
    crossing = _cross(
        options.leaders[:, None, 0], options.leaders[:, None, -1], leaders[:, 0], leaders[:, -1]
    )
    each = _OVERLAP * overlap + _HIDDEN_LEADER * (beneath | above) + _CROSSING * crossing
    costs: Points = each.sum(axis=1)
    return costs


def _within(gaps: Points, reach: Points) -> NDArray[np.bool_]:
    """Whether both coordinates of the last axis are in reach."""
    within: NDArray[np.bool_] = np.logical_and.reduce(np.less(gaps, reach), axis=-1)
    return within


def _cross(a: Points, b: Points, c: Points, d: Points) -> NDArray[np.bool_]:
    """Whether segments ab and cd cross properly; arrays (..., 2) broadcast."""

    def side(start: Points, end: Points, point: Points) -> Points:
        along, to = end - start, point - start
        signed: Points = along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0]
        return signed

    crossing: NDArray[np.bool_] = (side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)
    return crossing
