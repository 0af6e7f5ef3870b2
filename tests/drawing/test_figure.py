"""Figures with names in any script."""

from __future__ import annotations

import unicodedata
import warnings

import numpy as np
import pytest

from optdet.drawing.figure import new_figure, rendered, set_heading
from optdet.drawing.typeface import font_note


def drawn(title: str) -> np.ndarray:
    figure = new_figure(width=300, height=120)
    set_heading(figure.subplots(), title)
    return rendered(figure)


def test_hangul_is_drawn_in_both_normal_forms_and_is_no_boxes() -> None:
    name = "영수증 003"
    if font_note([name]) is not None:
        pytest.skip("no font here shows Hangul; Debian's fonts-nanum does")
    np.testing.assert_array_equal(drawn(name), drawn(unicodedata.normalize("NFD", name)))
    assert (drawn(name) != drawn("수증영 003")).any()


def test_a_character_that_no_font_has_is_a_box_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        boxed = drawn(f"a{chr(0x10FFFD)}")
    assert (boxed != drawn("a")).any()
