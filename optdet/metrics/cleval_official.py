"""CLEval's official profile: aspect ratios and pseudo characters of quads.

After CLEval (Baek et al., 2020, arXiv:2006.06244) as its authors implement it: quads whose vertices run
clockwise from the word's own top left. Aspect ratios are width by height in reading direction, so a
horizontal word has one above 1. The official code takes quads alone; here a polygon of any other number of
points is stood for by the corners of its smallest enclosing rectangle, from the top left.
"""

from __future__ import annotations

import numpy as np
import shapely

from optdet.metrics.rings import Index, Rings, ranges
from optdet.structures import FloatArray

EPSILON = 1e-5
MAX_CHARACTERS = 10
VERTICAL_RATIO = 0.5
"""Words narrower than this against their height are read from top to bottom."""


_FOLLOWING = np.array([1, 2, 3, 0])


def aspect_ratios(rings: Rings) -> FloatArray:
    """Mean of top and bottom side over mean of left and right side, (n,), by the order of the vertices."""
    return _ratios(_corners(rings))


def pseudo_lengths(ratios: FloatArray) -> Index:
    """How many characters a word without text is taken to have, 1..10."""
    return _rounded(np.maximum(ratios, 1 / ratios))


def false_positive_costs(ratios: FloatArray) -> Index:
    """How many characters a detection without a match is charged."""
    return _rounded(1 / (EPSILON + ratios))


def centres(rings: Rings, lengths: Index) -> FloatArray:
    """Pseudo character centres of all words behind one another, (sum of lengths, 2).

    They divide the line between the middles of the left and the right side evenly. The order of the
    operations is the official one: a centre may lie exactly on a detection's edge.
    """
    quads = _corners(rings)
    vertical = _ratios(quads) < VERTICAL_RATIO
    quads[vertical] = np.roll(quads[vertical], 1, axis=1)
    left = (quads[:, 0] + quads[:, 3]) / 2
    right = (quads[:, 1] + quads[:, 2]) / 2
    unit = (right - left) / np.maximum(lengths, 1)[:, None]
    word = np.repeat(np.arange(len(rings)), lengths)
    position = ranges(np.zeros_like(lengths), lengths)[:, None]
    return (left + unit / 2)[word] + unit[word] * position


def _rounded(values: FloatArray) -> Index:
    return np.minimum(np.rint(0.5 + values), MAX_CHARACTERS).astype(np.intp)


def _ratios(quads: FloatArray) -> FloatArray:
    sides = quads[:, _FOLLOWING] - quads
    top, right, bottom, left = np.sqrt((sides * sides).sum(axis=2)).T
    return np.asarray(((top + bottom) / 2 + EPSILON) / ((right + left) / 2 + EPSILON))


def _corners(rings: Rings) -> FloatArray:
    """(n, 4, 2), a new array."""
    quads = np.empty((len(rings), 4, 2))
    four = rings.sizes == 4
    quads[four] = rings.points[ranges(rings.starts[four], rings.sizes[four])].reshape(-1, 4, 2)
    for index in np.flatnonzero(~four):
        quads[index] = _enclosing_rectangle(rings.ring(int(index)))
    return quads


def _enclosing_rectangle(points: FloatArray) -> FloatArray:
    """The smallest one's corners, clockwise on the screen from the top left; a flat one has equal corners."""
    outline = shapely.get_coordinates(shapely.oriented_envelope(shapely.multipoints(points)))
    if len(outline) < 5:  # a line or a point: no area
        ends = outline[[0, -1]]
        ends = ends[np.argsort(ends.sum(axis=1), kind="stable")]
        return ends[[0, 1, 1, 0]]
    corners = outline[:4]
    (ax, ay), (bx, by) = corners[1] - corners[0], corners[2] - corners[1]
    if ax * by - ay * bx < 0:
        corners = corners[::-1]
    return np.roll(corners, -int(corners.sum(axis=1).argmin()), axis=0)
