"""Fonts that show the text, and lines that fit."""

from __future__ import annotations

import shutil
import unicodedata
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import font_manager
from PIL import Image, ImageDraw

from optdet.drawing import typeface
from optdet.drawing.typeface import font_for, font_note, readable, shortened


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


HANGUL = "영수증"
ELSEWHERE = chr(0x10FFFD)  # of a private plane: no font has it


def test_names_that_no_font_shows_are_said() -> None:
    assert font_note([]) is None
    assert font_note(["receipt_001.jpg", "é"]) is None
    note = font_note(["receipt_001.jpg", f"a{ELSEWHERE}.jpg", f"b{ELSEWHERE}.jpg"])
    assert note is not None
    assert note.count("jpg") == 1
    assert "fonts-nanum" in note


@pytest.fixture
def korean_font() -> str:
    """A family that shows Hangul, of those that this machine has."""
    if font_note([HANGUL]) is not None:
        pytest.skip("no font here shows Hangul; Debian's fonts-nanum does")
    return font_for(HANGUL, 20).getname()[0]


def test_hangul_is_drawn_in_both_normal_forms_and_is_no_boxes(korean_font: str) -> None:
    def drawn(text: str) -> np.ndarray:
        line = readable(text)
        canvas = Image.new("L", (200, 40))
        ImageDraw.Draw(canvas).text((0, 0), line, font=font_for(line, 30), fill=255)
        return np.asarray(canvas)

    np.testing.assert_array_equal(drawn(HANGUL), drawn(unicodedata.normalize("NFD", HANGUL)))
    syllables = [drawn(character * 3) for character in HANGUL]
    assert all((one != other).any() for one, other in pairwise(syllables))


def test_a_font_that_was_installed_after_the_list_was_kept_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = font_manager.findfont("DejaVu Sans Mono")
    new = tmp_path / "new.ttf"
    shutil.copyfile(known, new)
    (tmp_path / "none.ttf").write_bytes(b"no font")
    manager = font_manager.fontManager
    monkeypatch.setattr(manager, "ttflist", [each for each in manager.ttflist if "Mono" not in each.name])
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(new), str(tmp_path / "none.ttf")])
    monkeypatch.setattr(typeface, "_CJK_FAMILIES", ("DejaVu Sans Mono",))
    assert typeface.families.__wrapped__() == ("DejaVu Sans", "DejaVu Sans Mono")
    assert font_manager.findfont("DejaVu Sans Mono", rebuild_if_missing=False) == str(new)
