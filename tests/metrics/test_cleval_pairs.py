"""Compiled relations of words and detections: those of numpy's crossings and shapely's areas."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from optdet.metrics.cleval import cleval
from optdet.metrics.cleval_pairs import find_pairs
from optdet.metrics.cleval_truth import prepare_truth
from optdet.metrics.clipping import all_convex_turns, convex_turns, is_simple, shared_area
from optdet.metrics.iou import iou_matrix
from optdet.metrics.rings import Rings, points_inside, regions, shared_areas, stack_rings


def some_rings(rng, n, sizes=(4, 5, 9)):
    """Whole-numbered rings: boxes, turned boxes, stars that may cross themselves, flat ones."""
    rings = []
    for _ in range(n):
        kind, centre = rng.integers(0, 4), rng.uniform(10, 110, 2)
        width, height, turn = rng.uniform(4, 70), rng.uniform(4, 30), rng.uniform(-0.4, 0.4)
        if kind < 2:
            corners = np.array([[-width, -height], [width, -height], [width, height], [-width, height]]) / 2
            rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
            ring = centre + (corners @ rotation if kind else corners)
        elif kind == 2:
            size = rng.choice(sizes)
            angles = np.sort(rng.uniform(0, 2 * np.pi, size))
            spokes = np.stack([np.cos(angles), np.sin(angles)], axis=1)
            ring = centre + spokes * rng.uniform(0.2, 1, (size, 1)) * (width, height)
        else:
            ring = rng.integers(0, rng.choice([3, 120]), (rng.choice(sizes), 2))
        rings.append(np.trunc(ring))
    return rings


def pairs_of(truth, rings):
    stacked = stack_rings(rings, "detection")
    starts = np.concatenate([[0], np.cumsum(stacked.sizes)])
    areas = stacked.outline_areas()
    found = find_pairs(
        stacked.points,
        starts,
        areas,
        truth.points,
        truth.starts,
        truth.turns,
        truth.reach,
        truth.ignored,
        truth.centres,
        truth.centre_starts,
    )
    return stacked, areas, found


@pytest.mark.parametrize("profile", ["competition", "official"])
def test_pairs_centres_and_areas(profile):
    rng = np.random.default_rng(0)
    n_known = 0
    for _ in range(120):
        words, rings = some_rings(rng, 8), some_rings(rng, 12)
        ignored = rng.random(8) < 0.3
        truth = prepare_truth(words, ignored=ignored, profile=profile)
        stacked, areas, (starts, of, n_inside, shares, held_starts, held) = pairs_of(truth, rings)
        detections = np.repeat(np.arange(12), np.diff(starts))
        # Centres, to the last tie.
        expected = set(zip(*(side.tolist() for side in points_inside(truth.centres, stacked)), strict=True))
        got = zip(np.repeat(detections, np.diff(held_starts)).tolist(), held.tolist(), strict=True)
        assert set(got) == expected
        assert len(held) == len(expected)
        owner = np.repeat(np.arange(8), np.diff(truth.centre_starts))
        assert np.array_equal(owner[held], np.repeat(of, np.diff(held_starts)))
        assert np.array_equal(n_inside, np.diff(held_starts))
        # A pair without a centre is there for an ignored word alone.
        assert ignored[of[n_inside == 0]].all()
        # Shares of the area, where the compiled code knows them.
        known = np.flatnonzero(~np.isnan(shares) & (areas[detections] > 0))
        n_known += len(known)
        shapes = regions(Rings(stacked.points, stacked.sizes))[detections[known]]
        shared = shared_areas(np.array([truth.regions(of[[i]])[0] for i in known], dtype=object), shapes)
        np.testing.assert_allclose(shares[known], shared / areas[detections[known]], atol=1e-10, rtol=0)
        assert (shares[areas[detections] == 0] == 0).all()
    assert n_known > 300


def test_ignored_words_that_only_touch_are_pairs():
    truth = prepare_truth([[0, 0, 80, 0, 80, 10, 0, 10]], ignored=[True], profile="official")
    ring = np.array([[1.0, 0], [3, 0], [3, 10], [1, 10]])
    _, _, (starts, _, n_inside, shares, _, _) = pairs_of(truth, [ring])
    assert (starts.tolist(), n_inside.tolist(), shares.tolist()) == ([0, 1], [0], [1.0])


def test_many_pairs_outgrow_the_first_buffers():
    words = [[0, 0, 90, 0, 90, 9, 0, 9]] * 40
    truth = prepare_truth(words, texts=["a" * 30] * 40, profile="official")
    ring = np.array([[-5.0, -5], [99, -5], [99, 20], [-5, 20]])
    _, _, (starts, of, n_inside, _, _, held) = pairs_of(truth, [ring, ring])
    assert starts.tolist() == [0, 40, 80]
    assert of.tolist() == [*range(40)] * 2
    assert (n_inside == 30).all()
    assert held.tolist() == [*range(1200)] * 2


@pytest.mark.parametrize(
    ("ring", "turns"),
    [
        ([[0, 0], [9, 0], [9, 9], [0, 9]], 1),
        ([[0, 9], [9, 9], [9, 0], [0, 0]], -1),
        ([[0, 0], [4, 0], [9, 0], [9, 9], [0, 9]], 1),
        ([[0, 0], [9, 0], [3, 3], [0, 9]], 0),
        ([[0, 0], [9, 9], [9, 0], [0, 9]], 0),
        ([[0, 0], [9, 0], [4, 0], [4, 9]], 0),
        ([[0, 0], [4, 4], [8, 8], [9, 9]], 0),
        ([[0, -9], [5, 8], [-9, -3], [9, -3], [-5, 8]], 0),
    ],
    ids=["clockwise", "the other way", "a point on a side", "dent", "crossing", "spike", "line", "pentagram"],
)
def test_convex_rings(ring, turns):
    assert convex_turns(np.array(ring, float), 0, len(ring)) == turns


def test_simple_and_convex_are_what_shapely_says():
    rng = np.random.default_rng(1)
    n_simple = n_convex = 0
    for ring in some_rings(rng, 3000, sizes=(3, 4, 6)):
        shape = shapely.Polygon(ring)
        if is_simple(ring, 0, len(ring)):
            n_simple += 1
            assert shape.is_valid
        elif shape.is_valid:
            # Only a point on a straight side, or one that is repeated, may be turned down.
            assert len(np.unique(ring, axis=0)) < len(ring) or shapely.LinearRing(ring).is_simple
        if convex_turns(ring, 0, len(ring)):
            n_convex += 1
            assert shape.is_valid
            assert shape.convex_hull.area == shape.area
    assert n_simple > 1500
    assert n_convex > 1000


def zigzag(n_word_points, n_turns):
    """A word of many corners and a detection that goes up and down past all of it, turn after turn."""
    angles = np.linspace(0, 2 * np.pi, n_word_points, endpoint=False)
    word = np.round(4000 + 1000 * np.stack([np.cos(angles), np.sin(angles)], axis=1))
    outline = [(-500, 0)]
    for turn in range(n_turns):
        side = -1 if turn % 2 else 1
        outline += [(0, -3000 - 8 * turn), (side * (500 + 4 * turn), 0)]
    return word, np.array([*outline, (0, 300)]) + 4000.0


@pytest.mark.parametrize(("n_word_points", "n_turns"), [(40, 20), (14, 200)])
def test_an_outline_that_zigzags_around_a_word_stays_within_its_room(n_word_points, n_turns):
    """Cut by each side of the word in turn, it has ever more corners."""
    word, outline = zigzag(n_word_points, n_turns)
    region = shapely.Polygon(outline)
    assert region.is_valid
    shared = region.intersection(shapely.Polygon(word)).area
    assert iou_matrix([word], [outline])[0, 0] == pytest.approx(
        shared / (region.area + shapely.area(shapely.Polygon(word)) - shared)
    )
    room = 2 * len(outline) + n_word_points + 8
    px, py = (np.full((2, room + 1000), 7.0) for _ in range(2))
    turn = all_convex_turns(word, np.array([0, len(word)]))[0]
    cut = shared_area(outline, 0, len(outline), word, 0, len(word), turn, px[:, :room], py[:, :room])
    assert np.isnan(cut), "there is room enough: the test shows nothing"
    assert (px[:, room:] == 7).all()
    assert (py[:, room:] == 7).all()
    if shared / region.area < 0.3:
        found = cleval([word], [outline], profile="competition")
        assert (found.num_char_tp, found.num_char_det) == (0, found.num_char_fp)
