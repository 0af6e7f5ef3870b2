"""Scores by the height of words, on words whose fate is known."""

from __future__ import annotations

import numpy as np
import pytest

from optdet.evaluation.height_scores import height_scores
from optdet.structures import Word


def quad(x, y, width, height):
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], dtype=np.float64)


SMALL = [quad(10, 20 * k, 60, 8) for k in range(4)]
MIDDLE = [quad(110, 30 * k, 90, 16) for k in range(4)]
LARGE = [quad(310, 60 * k, 160, 40) for k in range(4)]


def words(*groups):
    return [Word(polygon) for group in groups for polygon in group]


def test_each_height_has_its_own_recall_and_precision():
    ghost = quad(600, 10, 100, 18)
    detections = [*SMALL[:1], *MIDDLE, ghost, *LARGE[:2]]
    small, middle, large = height_scores([(words(SMALL, MIDDLE, LARGE), detections)])
    assert (small.low, large.high) == (None, None)
    assert small.high == middle.low
    assert [each.n_words for each in (small, middle, large)] == [4, 4, 4]
    assert [each.recall for each in (small, middle, large)] == [0.25, 1.0, 0.5]
    assert [each.precision for each in (small, middle, large)] == [1.0, 0.8, 1.0]
    assert small.hmean == pytest.approx(0.4)
    assert middle.as_json()["hmean"] == pytest.approx(2 * 0.8 / 1.8)


def test_images_are_taken_together():
    pages = [(words(SMALL), SMALL), (words(MIDDLE), MIDDLE), (words(LARGE), [])]
    small, middle, large = height_scores(pages)
    assert [each.n_words for each in (small, middle, large)] == [4, 4, 4]
    assert (small.hmean, middle.hmean) == (1.0, 1.0)
    assert large.recall == 0
    assert large.precision is None
    assert large.hmean is None


def test_words_of_one_height_are_one_class():
    (only,) = height_scores([(words(SMALL), SMALL)])
    assert (only.low, only.high, only.n_words, only.hmean) == (None, None, 4, 1.0)


def test_without_words_there_is_nothing_to_score():
    assert height_scores([([], SMALL)]) == ()
