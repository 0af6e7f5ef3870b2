"""Styles on a canvas, and the palette they take their colours from."""

from __future__ import annotations

import numpy as np
import pytest

from optdet.drawing.canvas import Canvas, Style
from optdet.drawing.heat import heat_over
from optdet.drawing.palette import BLACK, BLUE, OKABE_ITO, WHITE, heat_table, hex_colour

SQUARE = np.array([[20, 20], [80, 20], [80, 80], [20, 80]], dtype=np.float64)


def coloured(style: Style, line: float = 1.0) -> np.ndarray:
    canvas = Canvas(100, 100, line=line)
    canvas.polygons([SQUARE], style)
    return (canvas.pixels != WHITE).any(axis=2)


def test_an_empty_polygon_is_its_outline() -> None:
    drawn = coloured(Style(BLUE))
    assert not drawn[25:75, 25:75].any()
    assert drawn[20, 20:80].all()
    assert drawn[20:80, 20].all()


def test_filled_hatched_and_dashed_differ_without_hue() -> None:
    filled = coloured(Style(BLACK, inside="filled"))
    hatched = coloured(Style(BLACK, inside="hatched"))
    dashed = coloured(Style(BLACK, dashed=True))
    assert filled[25:75, 25:75].all()
    assert 0.2 < hatched[25:75, 25:75].mean() < 0.6
    assert not dashed[25:75, 25:75].any()
    assert 0.3 < dashed[20, 20:81].mean() < 0.9
    # Every corner is drawn, so that a dashed polygon can be told from loose strokes.
    assert all(dashed[y, x] for x, y in SQUARE.astype(int))


def test_width_is_a_multiple_of_the_line() -> None:
    def widths(line: float, width: float) -> int:
        return int(coloured(Style(BLACK, width=width), line=line)[:50, 50].sum())

    assert widths(1, 1) < widths(1, 4) < widths(2, 4)


def test_no_polygons_draw_nothing() -> None:
    canvas = Canvas(10, 10)
    canvas.polygons([], Style(BLUE, inside="filled"))
    assert (canvas.pixels == WHITE).all()


@pytest.mark.parametrize("points", [[[5, 5], [5, 5], [5, 5]], [[0, 0], [9, 9], [9, 9]]])
def test_degenerate_polygons_are_drawn_as_far_as_they_go(points: list[list[int]]) -> None:
    for style in (Style(BLUE), Style(BLUE, dashed=True), Style(BLUE, inside="hatched")):
        canvas = Canvas(10, 10)
        canvas.polygons([np.array(points, dtype=np.float64)], style)
        assert canvas.pixels.shape == (10, 10, 3)


def test_the_palette_is_that_of_okabe_and_ito() -> None:
    assert {hex_colour(colour) for colour in OKABE_ITO} == {
        "#000000",
        "#e69f00",
        "#56b4e9",
        "#009e73",
        "#f0e442",
        "#0072b2",
        "#d55e00",
        "#cc79a7",
    }


def test_the_heat_table_gets_lighter_all_the_way() -> None:
    luma = heat_table() @ np.array([0.2126, 0.7152, 0.0722])
    assert heat_table().shape == (256, 3)
    assert (np.diff(luma) > -0.5).all()
    with pytest.raises(ValueError, match="read-only"):
        heat_table()[0] = 0


def test_heat_clips_and_leaves_its_inputs() -> None:
    image = np.full((2, 2, 3), 200, dtype=np.uint8)
    prob_map = np.array([[-1.0, 0.0], [1.0, 7.0]])
    before = prob_map.copy()
    heat = heat_over(image, prob_map)
    np.testing.assert_array_equal(heat[0, 0], heat[0, 1])
    np.testing.assert_array_equal(heat[1, 0], heat[1, 1])
    np.testing.assert_array_equal(prob_map, before)
    assert (image == 200).all()
