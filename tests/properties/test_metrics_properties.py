"""What holds for any words and detections."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from optdet.metrics.cleval import cleval
from optdet.metrics.iou import iou_matrix, match_iou
from optdet.structures import PROFILES

settings.register_profile("metrics", deadline=None, max_examples=40)
METRICS = settings.get_profile("metrics")

profiles = st.sampled_from(PROFILES)
coordinates = st.integers(0, 120)
any_quads = st.lists(st.lists(coordinates, min_size=8, max_size=8), max_size=6)


@st.composite
def words_in_rows(draw):
    """Quads (4, 2) that do not overlap, slightly skewed, clockwise from the top left."""
    words = []
    for row in range(draw(st.integers(1, 4))):
        x = draw(st.integers(0, 20))
        for _ in range(draw(st.integers(1, 3))):
            width, height = draw(st.integers(12, 90)), draw(st.integers(10, 24))
            skew = draw(st.integers(-2, 2))
            top = 40 * row + 5
            words.append(
                np.array(
                    [[x, top], [x + width, top + skew], [x + width, top + skew + height], [x, top + height]]
                )
            )
            x += width + draw(st.integers(2, 30))
    return words


@METRICS
@given(words_in_rows(), profiles)
def test_the_words_themselves_are_a_perfect_detection(words, profile):
    assert cleval(words, words, profile=profile).hmean == 1
    assert match_iou(words, words).hmean == 1


@METRICS
@given(any_quads, any_quads, profiles, st.randoms(use_true_random=False), st.data())
def test_order_does_not_matter(words, detections, profile, random, data):
    ignored = data.draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words)))
    before = cleval(words, detections, ignored=ignored, profile=profile)
    shuffled_words = list(zip(words, ignored, strict=True))
    random.shuffle(shuffled_words)
    shuffled_detections = list(detections)
    random.shuffle(shuffled_detections)
    after = cleval(
        [word for word, _ in shuffled_words],
        shuffled_detections,
        ignored=[flag for _, flag in shuffled_words],
        profile=profile,
    )
    assert after == before


@METRICS
@given(any_quads, any_quads, profiles)
def test_scores_lie_between_0_and_1(words, detections, profile):
    for counts in (cleval(words, detections, profile=profile), match_iou(words, detections)):
        assert 0 <= counts.precision <= 1
        assert 0 <= counts.recall <= 1
        assert 0 <= counts.hmean <= 1


@METRICS
@given(any_quads, any_quads, profiles)
def test_flat_and_shaped_polygons_agree_and_stay_unchanged(words, detections, profile):
    flat = [np.array(polygon, dtype=np.float64) for polygon in (*words, *detections)]
    for polygon in flat:
        polygon.flags.writeable = False
    n = len(words)
    shaped = [polygon.reshape(4, 2) for polygon in flat]
    assert cleval(flat[:n], flat[n:], profile=profile) == cleval(shaped[:n], shaped[n:], profile=profile)
    assert match_iou(flat[:n], flat[n:]) == match_iou(shaped[:n], shaped[n:])
    assert [polygon.tolist() for polygon in flat] == [[float(v) for v in p] for p in (*words, *detections)]


@METRICS
@given(words_in_rows(), profiles, st.data())
def test_a_detection_far_away_only_adds_false_positives(words, profile, data):
    found = data.draw(st.lists(st.sampled_from(words), max_size=3))
    far = np.array([[5000, 5000], [5040, 5000], [5040, 5010], [5000, 5010]])
    before, after = cleval(words, found, profile=profile), cleval(words, [*found, far], profile=profile)
    assert after.num_char_tp == before.num_char_tp
    assert after.num_char_det - before.num_char_det == after.num_char_fp - before.num_char_fp > 0


@METRICS
@given(any_quads, any_quads)
def test_iou_is_symmetric_and_between_0_and_1(first, second):
    matrix = iou_matrix(first, second)
    np.testing.assert_allclose(matrix, iou_matrix(second, first).T, atol=1e-12)
    assert ((matrix >= 0) & (matrix <= 1)).all()
