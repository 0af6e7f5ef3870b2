"""Fonts that show the text, and lines that fit."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optdet.drawing import typeface
from optdet.drawing.typeface import font_for, readable, shortened


def test_latin_text_takes_the_font_that_is_always_there() -> None:
    assert font_for("receipt 003.jpg", 20).getname()[0] == "DejaVu Sans"


def test_the_font_that_covers_more_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    coverage = {"a.ttf": frozenset(map(ord, "abc")), "b.ttf": frozenset(map(ord, "abc영수증"))}
    monkeypatch.setattr(typeface, "_candidates", lambda: tuple(coverage))
    monkeypatch.setattr(typeface, "_characters", coverage.__getitem__)
    monkeypatch.setattr(typeface, "_load", lambda path, size: (path, size))
    assert font_for("영수증 abc", 20) == ("b.ttf", 20)
    assert font_for("abc", 20) == ("a.ttf", 20)


def test_text_becomes_one_composed_line() -> None:
    assert readable(unicodedata.normalize("NFD", "영수증")) == "영수증"
    assert readable("a\nb\x00c") == "a b c"


def test_a_line_that_fits_stays() -> None:
    font = font_for("a", 20)
    assert shortened("name.jpg", font, 500) == "name.jpg"


def test_a_long_line_keeps_its_start_and_its_end() -> None:
    font = font_for("a", 20)
    line = shortened("receipt_" + "x" * 300 + "_003.jpg", font, 400)
    assert line.startswith("receipt_")
    assert line.endswith("_003.jpg")
    assert "…" in line


@settings(max_examples=50, deadline=None)
@given(text=st.text("iW영é\n😀 ", max_size=60), width=st.integers(20, 300))
def test_a_shortened_line_fits(text: str, width: int) -> None:
    line = readable(text)
    font = font_for(line, 16)
    assert font.getlength(shortened(line, font, width)) <= width
