"""Marks that differ by shape, and names that fit."""

from __future__ import annotations

import numpy as np

from optdet.drawing.figure import new_figure, rendered
from optdet.drawing.palette import VERMILLION
from optdet.drawing.sweep_marks import draw_marks, is_chosen, mark_of, short_name
from optdet.drawing.sweep_view import NamedPoint


def test_the_chosen_four_have_shapes_of_their_own() -> None:
    names = ["default", "current", "best", "robust", "a candidate"]
    for field in ("shape", "symbol", "colour", "layer"):
        assert len({getattr(mark_of(name), field) for name in names}) == 5
    assert mark_of("another") == mark_of("a candidate")
    assert [is_chosen(name) for name in names] == [True] * 4 + [False]


def test_names_are_one_line_that_fits() -> None:
    assert short_name("a\nb") == "a b"
    assert short_name("x" * 24) == "x" * 24
    assert short_name("x" * 60) == "x" * 23 + "…"


def test_a_mark_stands_at_the_fields_asked_for() -> None:
    figure = new_figure()
    axes = figure.subplots()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    draw_marks(axes, [NamedPoint("best", 0.2, 0.9, 1.5, 0.8, 0.3, 0.4)], x="recall", y="precision")
    picture = rendered(figure)
    rows, columns = np.nonzero((picture == VERMILLION).all(axis=2))
    expected = axes.transData.transform((0.3, 0.8))
    assert abs(columns.mean() - expected[0]) < 2
    assert abs(picture.shape[0] - rows.mean() - expected[1]) < 3
