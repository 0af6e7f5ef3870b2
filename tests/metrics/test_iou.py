"""IoU matching at 0.5, and the IoU matrix."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from optdet.metrics.iou import IoUCounts, count, iou_matrix, match_iou, prepare_truth
from optdet.metrics.rings import regions, stack_rings


def rectangle(x, y, width, height):
    return [x, y, x + width, y, x + width, y + height, x, y + height]


WORD = rectangle(0, 0, 100, 20)


@pytest.mark.parametrize(
    ("detections", "expected"),
    [
        pytest.param([WORD], IoUCounts(1, 1, 1), id="exact"),
        pytest.param([rectangle(0, 0, 50, 20)], IoUCounts(0, 1, 1), id="exactly one half is not enough"),
        pytest.param([rectangle(0, 0, 51, 20)], IoUCounts(1, 1, 1), id="just above one half"),
        pytest.param([WORD, WORD], IoUCounts(1, 1, 2), id="one to one"),
        pytest.param([], IoUCounts(0, 1, 0), id="nothing detected"),
    ],
)
def test_one_word(detections, expected):
    assert match_iou([WORD], detections) == expected


def test_ignored_word_leaves_out_detections_by_their_own_area():
    words = [WORD, rectangle(200, 0, 100, 20)]
    on_it, half_on_it = rectangle(200, 0, 30, 20), rectangle(170, 0, 60, 20)
    result = match_iou(words, [WORD, on_it, half_on_it], ignored=[False, True])
    assert result == IoUCounts(n_matched=1, n_words=1, n_detections=2)


def test_words_choose_in_their_order_the_first_free_detection():
    words = [rectangle(0, 0, 100, 20), rectangle(20, 0, 100, 20)]
    between, right = rectangle(10, 0, 100, 20), rectangle(25, 0, 100, 20)
    assert match_iou(words, [between, right]).n_matched == 2
    # The first word takes the right one here, and the second is left with the one in between.
    assert match_iou(words, [right, between]).n_matched == 2


def test_relations_can_be_reused():
    truth = prepare_truth([WORD])
    relations = truth.relate([WORD, rectangle(0, 100, 100, 20)])
    assert count(truth, relations, np.array([0])) == IoUCounts(1, 1, 1)
    assert count(truth, relations, np.array([1])) == IoUCounts(0, 1, 1)
    assert count(truth, relations, np.array([], dtype=int)) == IoUCounts(0, 1, 0)


def test_nothing_at_all_scores_zero():
    result = match_iou([], [])
    assert (result.precision, result.recall, result.hmean) == (0, 0, 0)


def test_scores_and_sum():
    total = IoUCounts(1, 2, 4) + IoUCounts(1, 2, 0)
    assert (total.precision, total.recall) == (0.5, 0.5)
    assert total.hmean == 0.5


def test_matrix():
    matrix = iou_matrix(
        [WORD, rectangle(0, 0, 50, 20)], [WORD, rectangle(50, 0, 100, 20), rectangle(0, 0, 0, 20)]
    )
    assert matrix.tolist() == [[1, pytest.approx(1 / 3), 0], [0.5, 0, 0]]


def test_two_polygons_without_area_have_zero_not_nan():
    line = rectangle(0, 0, 100, 0)
    assert iou_matrix([line], [line]).tolist() == [[0]]


def test_errors():
    with pytest.raises(ValueError, match="detection 0: a polygon needs at least 3 points, got 2"):
        match_iou([WORD], [[0, 0, 1, 1]])
    with pytest.raises(ValueError, match="word 0: coordinates must be finite"):
        match_iou([[float("nan")] * 8], [])
    with pytest.raises(ValueError, match="ignored must have one entry for each of the 1 words, got 2"):
        match_iou([WORD], [], ignored=[True, False])


def some_polygons(rng, n, sizes):
    """Stars, boxes and bow ties around a few places, whole-numbered or not."""
    polygons = []
    for _ in range(n):
        size = int(rng.choice(sizes))
        angles = np.arange(size) * 2 * np.pi / size + rng.normal(0, 0.3, size)
        if rng.random() < 0.2:
            rng.shuffle(angles)
        spokes = np.stack([np.cos(angles), np.sin(angles)], axis=1) * rng.uniform(0.7, 1, (size, 1))
        polygon = rng.integers(0, 2, 2) * 30 + rng.normal(0, 1, 2) + spokes * rng.uniform(14, 20, 2)
        polygons.append(np.round(polygon) if rng.random() < 0.5 else polygon)
    return polygons


@pytest.mark.parametrize("seed", range(4))
def test_relations_are_what_shapely_says(seed):
    rng = np.random.default_rng(seed)
    n_matching = n_left_out = 0
    for _ in range(40):
        words, detections = some_polygons(rng, 12, (3, 4, 4, 7)), some_polygons(rng, 20, (3, 4, 4, 7))
        ignored = rng.random(len(words)) < 0.3
        relations = prepare_truth(words, ignored.tolist()).relate(detections)
        above = (iou_matrix(words, detections) > 0.5) & ~ignored[:, None]
        shapes, areas = regions(stack_rings(words, "word")), regions(stack_rings(detections, "detection"))
        for index, shape in enumerate(areas):
            covers = [shapely.intersection(word, shape).area for word in shapes[ignored]]
            left_out = shape.area > 0 and any(part / shape.area > 0.5 for part in covers)
            near = relations.words[relations.pair_starts[index] : relations.pair_starts[index + 1]]
            assert near.tolist() == np.flatnonzero(above[:, index]).tolist()
            assert relations.ignored[index] == left_out
            n_matching += len(near)
            n_left_out += left_out
    assert n_matching > 100
    assert n_left_out > 100


def test_words_at_almost_exactly_one_half():
    # Turned words: the shared area comes out of the clipping a little too large or too small.
    turn = np.deg2rad(np.arange(1, 90))
    axes = np.stack(
        [np.stack([np.cos(turn), np.sin(turn)], 1), np.stack([-np.sin(turn), np.cos(turn)], 1)], 1
    )
    corners = np.array([[0, 0], [40, 0], [40, 20], [0, 20]], dtype=float)
    for rotation in axes:
        word, half = corners @ rotation, (corners * [0.5, 1]) @ rotation
        exact = iou_matrix([word], [half])[0, 0]
        assert exact == pytest.approx(0.5, abs=1e-12)
        assert match_iou([word], [half]).n_matched == (exact > 0.5)


def test_a_detection_that_crosses_itself_is_no_false_positive_on_an_ignored_word():
    """Corners in the order of a Z leave two halves whose areas cancel each other."""
    ignored = rectangle(0, 0, 100, 50)
    crossing, nearly = [10, 10, 60, 30, 60, 10, 10, 30], [10, 10, 60, 30, 60, 10, 10, 31]
    for detection in (crossing, nearly):
        assert match_iou([ignored], [detection], ignored=[True]) == IoUCounts(0, 0, 0)
