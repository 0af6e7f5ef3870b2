"""The competition's rectangle and centres, against a plain transcription of its rules."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import ConvexHull, QhullError

from optdet.metrics.cleval_competition import aspect_ratios, centres, false_positive_costs, pseudo_lengths
from optdet.metrics.rings import read_polygons, stack_rings

EPSILON = np.finfo(np.float32).eps


def rings(*polygons):
    return stack_rings(read_polygons(polygons, "polygon"), "polygon")


def ratio_by_hull(points):
    """Every edge of scipy's hull in its order, the first strictly smallest rectangle, all in float32."""
    try:
        hull = points[ConvexHull(points).vertices]
    except QhullError:
        return 0.0
    best = None
    for start, end in zip(hull, np.roll(hull, -1, axis=0), strict=True):
        edge = end - start
        along = edge / np.float32(np.sqrt(float(edge[0] * edge[0] + edge[1] * edge[1])))
        reach = along[0] * hull[:, 0] + along[1] * hull[:, 1]
        rise = -along[1] * hull[:, 0] + along[0] * hull[:, 1]
        width, height = reach.max() - reach.min(), rise.max() - rise.min()
        if best is None or width * height < best[0]:
            best = (width * height, width, height)
    return min(100.0, float(best[2] / (best[1] + EPSILON)))


def quads(seed, n):
    """Upright, rotated, rounded, rolled and reversed rectangles, squares and crossed quads."""
    generator = np.random.default_rng(seed)
    for index in range(n):
        width, height = generator.integers(3, 200), generator.integers(3, 60)
        if index % 7 == 0:
            height = width
        angle = generator.choice([0, 0.02, np.pi / 4, generator.uniform(-3, 3)])
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        quad = np.array([[0, 0], [width, 0], [width, height], [0, height]]) @ turn.T + generator.integers(
            0, 900, 2
        )
        quad = np.round(quad) if index % 3 else quad
        if index % 5 == 0:
            quad = np.roll(quad, generator.integers(4), axis=0)
        if index % 11 == 0:
            quad = quad[::-1]
        if index % 13 == 0:
            quad = quad[[0, 2, 1, 3]]
        yield quad.astype(np.float32)


def test_ratio_is_that_of_the_hull_to_the_last_bit():
    examples = list(quads(0, 700))
    expected = [ratio_by_hull(quad) for quad in examples]
    assert aspect_ratios(rings(*examples)).tolist() == expected


def test_upright_rectangles_tie_and_the_top_edge_wins():
    assert aspect_ratios(rings([0, 0, 100, 0, 100, 20, 0, 20]))[0] == pytest.approx(0.2)
    assert aspect_ratios(rings([0, 0, 20, 0, 20, 100, 0, 100]))[0] == pytest.approx(5)


def test_polygons_of_other_sizes_ask_the_hull():
    octagon = np.array([[30, 0], [70, 1], [99, 5], [99, 15], [70, 19], [30, 20], [1, 15], [0, 5]], np.float32)
    assert aspect_ratios(rings(octagon))[0] == ratio_by_hull(octagon)


@pytest.mark.parametrize(
    ("ratio", "length", "cost"),
    [(0.2, 5, 5), (5.0, 6, 1), (1.0, 2, 1), (0.0, 100, 100), (100.0, 100, 1), (0.25, 4, 4)],
)
def test_lengths_and_costs(ratio, length, cost):
    assert pseudo_lengths(np.array([ratio]))[0] == length
    assert false_positive_costs(np.array([ratio]))[0] == cost


@pytest.mark.parametrize(
    ("points", "length", "expected"),
    [
        ([[0, 0], [10, 0], [10, 4], [0, 4]], 2, [[2.5, 2], [7.5, 2]]),
        # Nodes between vertices are cut to integers: 3 and 6 of 3.33 and 6.67.
        ([[0, 0], [10, 0], [10, 4], [0, 4]], 3, [[1.5, 2], [4.5, 2], [8, 2]]),
        # Two sections: a centre looks at every other node.
        ([[0, 0], [10, 0], [20, 8], [20, 12], [10, 4], [0, 4]], 2, [[5, 2], [15, 6]]),
        # Five points: two above; the lower line's three give their first section and their own end.
        ([[0, 0], [10, 0], [20, 8], [10, 4], [0, 4]], 2, [[2.5, 2], [10, 3]]),
    ],
)
def test_centres(points, length, expected):
    assert centres(rings(points), np.array([length])).tolist() == expected


def test_centres_of_many_words_follow_one_another():
    one, two = [[0, 0], [10, 0], [10, 4], [0, 4]], [[0, 50], [10, 50], [20, 58], [20, 62], [10, 54], [0, 54]]
    together = centres(rings(one, two), np.array([3, 2]))
    apart = [centres(rings(one), np.array([3])), centres(rings(two), np.array([2]))]
    assert together.tolist() == np.concatenate(apart).tolist()
