"""What holds for any two sets of detections that are compared."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optdet.evaluation.comparison import compare
from optdet.structures import Word

settings.register_profile("comparison", deadline=None, max_examples=15)
COMPARISON = settings.get_profile("comparison")


def rectangle(values):
    x, y, width, height = values
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], dtype=np.float64)


rectangles = st.tuples(st.integers(0, 120), st.integers(0, 120), st.integers(4, 80), st.integers(4, 30)).map(
    rectangle
)
polygons = st.lists(rectangles, max_size=5)
names = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=5, unique=True)


@st.composite
def cases(draw):
    """Words, and two sets of detections that share some of them."""
    images = draw(names)
    words = {name: [Word(polygon) for polygon in draw(polygons)] for name in images}

    def found():
        return {
            name: [word.polygon for word in words[name] if draw(st.booleans())] + draw(polygons)
            for name in images
            if draw(st.booleans())
        }

    return words, found(), found()


def differences(result):
    scores = [result.macro, result.global_, result.official, result.iou]
    every = [getattr(each, part) for each in scores for part in ("precision", "recall", "hmean")]
    return every + [group.score for group in (*result.word_size, *result.density) if group.score is not None]


@COMPARISON
@given(cases())
def test_a_thing_differs_from_itself_by_nothing(case):
    words, a, _ = case
    result = compare(words, a, a)
    for each in differences(result):
        assert (each.a, each.difference, each.interval, each.p_positive) == (each.b, 0, (0, 0), 0)
    assert result.helped() == result.harmed() == []


@COMPARISON
@given(cases())
def test_swapping_negates(case):
    words, a, b = case
    there, back = compare(words, a, b), compare(words, b, a)
    for one, other in zip(differences(there), differences(back), strict=True):
        assert (one.a, one.b, one.difference) == (other.b, other.a, -other.difference)
        assert one.interval == pytest.approx((-other.interval[1], -other.interval[0]), abs=1e-12)
        assert one.p_positive + other.p_positive <= 1  # what is left is resamples without a difference
    assert [image.image for image in there.helped()] == [image.image for image in back.harmed()]


@COMPARISON
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_images_moves_no_digit(case, random):
    words, a, b = case
    shuffled = list(words)
    random.shuffle(shuffled)
    again = compare({name: words[name] for name in shuffled}, dict(reversed(a.items())), b)
    assert again == compare(words, a, b)


@COMPARISON
@given(cases())
def test_every_probability_and_bound_is_in_its_range(case):
    for each in differences(compare(*case)):
        low, high = each.interval
        assert -1 <= low <= high <= 1
        assert 0 <= each.p_positive <= 1
