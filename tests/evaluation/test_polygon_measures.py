"""Size, proportions, direction and place of polygons, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from word_crowds import box

from optdet.evaluation.polygon_measures import Frame, joined, measure


def turned(polygon, degrees):
    turn = np.radians(degrees)
    middle = polygon.mean(axis=0)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return (polygon - middle) @ rotation.T + middle


@pytest.mark.parametrize("degrees", [0, 4, 30, 45, 60, 90, -30, 135])
def test_a_turned_word_keeps_its_height_and_aspect(degrees):
    measured = measure([turned(box(100, 100, 80, 20), degrees)], None, image=0, n_words=1)
    assert measured.height[0] == pytest.approx(20, abs=1e-4)
    assert measured.aspect[0] == pytest.approx(4, abs=1e-4)
    assert measured.angle[0] == pytest.approx(min(abs(degrees), 180 - abs(degrees)), abs=1e-3)


def test_gaps_are_in_heights_of_the_word_itself():
    first, second, third = box(0, 0, 40, 10), box(45, 0, 40, 20), box(45, 60, 40, 20)
    assert measure([first, second, third], None, image=0, n_words=3).gap.tolist() == [0.5, 0.25, 2.0]
    assert measure([first, first], None, image=0, n_words=2).gap.tolist() == [0, 0]
    assert measure([first], None, image=0, n_words=1).gap.tolist() == [np.inf]
    crossing = first[[0, 2, 1, 3]]
    assert measure([crossing, second], None, image=0, n_words=2).gap.tolist() == [0.5, 0.25]


def test_places_in_the_image():
    measured = measure(
        [box(0, 0, 20, 10), box(40, 45, 20, 10), box(90, 95, 20, 10)],
        Frame(100, 100, 0.5),
        image=3,
        n_words=7,
    )
    assert measured.border.tolist() == [0, 4, 0]  # what leaves the image is at its edge
    assert measured.across.tolist() == [0.1, 0.5, 1.0]
    assert measured.down.tolist() == [0.05, 0.5, 1.0]
    assert measured.canvas_height.tolist() == [5, 5, 5]
    assert measured.image.tolist() == [3, 3, 3]
    assert measured.n_words.tolist() == [7, 7, 7]


def test_what_is_not_known_is_nan():
    measured = measure([box(0, 0, 20, 10)], None, image=0, n_words=1)
    for name in ("canvas_height", "border", "across", "down"):
        assert np.isnan(getattr(measured, name)).all()
    assert np.isnan(measure([box(0, 0, 20, 10)], Frame(9, 9), image=0, n_words=1).canvas_height).all()


def test_a_line_and_nothing_at_all():
    line = measure([box(0, 0, 20, 0), box(0, 5, 20, 10)], Frame(50, 50), image=0, n_words=2)
    assert (line.height[0], line.aspect[0], line.gap[0], line.border[0]) == (0, np.inf, np.inf, np.inf)
    nothing = measure([], Frame(50, 50), image=0, n_words=0)
    assert len(nothing) == 0
    assert len(joined([nothing, line, line])) == 4


def test_inputs_stay_as_they_are():
    polygons = [box(0, 0, 20, 10), box(30, 0, 20, 10)]
    before = [polygon.copy() for polygon in polygons]
    measure(polygons, Frame(50, 50), image=0, n_words=2)
    assert all((one == other).all() for one, other in zip(polygons, before, strict=True))
