"""Found from half of a word's area on, false below 30 % of a detection's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from optdet.drawing.flags import match_flags
from optdet.structures import Detections, Word


def rectangle(left: float, width: float, height: float = 10, top: float = 0) -> NDArray[np.float64]:
    return np.array([[left, top], [left + width, top], [left + width, top + height], [left, top + height]])


def detected(*polygons: NDArray[np.float64]) -> Detections:
    return Detections(tuple(p.astype(np.int32) for p in polygons), np.ones(len(polygons)))


@pytest.mark.parametrize(("width", "found"), [(50, True), (49, False), (100, True), (0, False)])
def test_a_word_is_found_from_half_of_its_area_on(width: float, found: bool) -> None:
    flags = match_flags([Word(rectangle(0, 100))], detected(rectangle(0, width)))
    assert flags.found.tolist() == [found]


@pytest.mark.parametrize(("left", "false"), [(70, False), (71, True), (500, True), (0, False)])
def test_a_detection_is_false_below_three_tenths(left: float, false: bool) -> None:
    flags = match_flags([Word(rectangle(0, 100))], detected(rectangle(left, 100)))
    assert flags.false.tolist() == [false]


def test_detections_count_together_and_their_overlap_once() -> None:
    word = Word(rectangle(0, 100))
    assert match_flags([word], detected(rectangle(0, 30), rectangle(60, 30))).found.tolist() == [True]
    assert match_flags([word], detected(rectangle(0, 30), rectangle(0, 30))).found.tolist() == [False]


def test_a_detection_on_an_ignored_word_is_not_false() -> None:
    flags = match_flags([Word(rectangle(0, 100), ignored=True)], detected(rectangle(0, 100)))
    assert flags.false.tolist() == [False]


def test_nothing_gives_nothing() -> None:
    word, nothing = Word(rectangle(0, 100)), Detections((), np.zeros(0))
    assert match_flags([], nothing).found.shape == (0,)
    assert match_flags([word], nothing).found.tolist() == [False]
    assert match_flags([], detected(rectangle(0, 9))).false.tolist() == [True]


def test_no_area_is_neither_found_nor_true() -> None:
    line = rectangle(0, 100, height=0)
    flags = match_flags([Word(line)], detected(rectangle(0, 100), line))
    assert flags.found.tolist() == [False]
    assert flags.false.tolist() == [True, True]


def test_a_polygon_that_crosses_itself_has_the_area_it_encloses() -> None:
    bow_tie = np.array([[0, 0], [100, 100], [100, 0], [0, 100]], dtype=np.float64)
    flags = match_flags([Word(bow_tie)], detected(rectangle(0, 100, height=100)))
    assert flags.found.tolist() == [True]


def test_polygons_of_different_lengths() -> None:
    triangle = np.array([[0, 0], [10, 0], [0, 10]], dtype=np.float64)
    octagon = np.array([[3, 0], [7, 0], [10, 3], [10, 7], [7, 10], [3, 10], [0, 7], [0, 3]]) * 1.0
    octagon[:, 0] += 200
    flags = match_flags([Word(triangle), Word(octagon)], detected(octagon, triangle))
    assert flags.found.all()
    assert not flags.false.any()


rectangles = st.builds(
    rectangle,
    st.integers(0, 300),
    st.integers(1, 80),
    st.integers(1, 40),
    st.integers(0, 200),
)


@settings(max_examples=60, deadline=None)
@given(polygons=st.lists(rectangles, max_size=12))
def test_words_as_detections_are_all_found(polygons: list[NDArray[np.float64]]) -> None:
    flags = match_flags([Word(polygon) for polygon in polygons], detected(*polygons))
    assert flags.found.all()
    assert not flags.false.any()


@settings(max_examples=60, deadline=None)
@given(words=st.lists(rectangles, min_size=1, max_size=8), found=st.lists(rectangles, max_size=8))
def test_order_does_not_matter(words: list[NDArray[np.float64]], found: list[NDArray[np.float64]]) -> None:
    there = match_flags([Word(polygon) for polygon in words], detected(*found))
    back = match_flags([Word(polygon) for polygon in words[::-1]], detected(*found[::-1]))
    assert there.found.tolist() == back.found.tolist()[::-1]
    assert there.false.tolist() == back.false.tolist()[::-1]
