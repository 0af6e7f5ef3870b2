"""The font of a line of text, and lines shortened to a width.

OpenCV draws ASCII alone; file names are Hangul, kana, anything. Of the fonts that matplotlib's font manager
knows, the first that covers most of the line is taken: DejaVu (which comes with matplotlib), then the usual
Chinese, Japanese and Korean families. What none covers shows as a box, and :func:`font_note` says so.
"""

from __future__ import annotations

import contextlib
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path

from matplotlib import font_manager, ft2font
from PIL import ImageFont

_CJK_FAMILIES = (
    "Noto Sans CJK KR",
    "Noto Sans CJK JP",
    "Noto Sans KR",
    "NanumGothic",
    "NanumBarunGothic",
    "Malgun Gothic",
    "Apple SD Gothic Neo",
    "AppleGothic",
    "UnDotum",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "Arial Unicode MS",
)


def readable(text: str) -> str:
    """One line in NFC: macOS splits Hangul into letters, and a control character has no glyph."""
    composed = unicodedata.normalize("NFC", text)
    return "".join(" " if unicodedata.category(character) == "Cc" else character for character in composed)


def font_for(text: str, size: int) -> ImageFont.FreeTypeFont:
    """The font of ``size`` pixels that shows most of ``text``."""
    wanted = {ord(character) for character in text}
    best = max(_candidates(), key=lambda path: len(wanted & _characters(path)))
    return _load(best, size)


def font_note(texts: Iterable[str]) -> str | None:
    """What a person should know before pictures with these titles are drawn: None where fonts show all."""
    covered = frozenset[int]().union(*map(_characters, _candidates()))
    hidden = next((text for text in map(readable, texts) if not set(map(ord, text)) <= covered), None)
    if hidden is None:
        return None
    return (
        f"no font here shows all of {hidden!r}: such names are boxes in pictures; for Hangul install one, as "
        "Debian's fonts-nanum"
    )


def shortened(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """``text``, or its longest start and end about an ellipsis that fit into ``width`` pixels.

    The end is kept because that is where a file name has its number and a title its score.
    """
    if font.getlength(text) <= width:
        return text

    def with_kept(n_characters: int) -> str:
        head = (n_characters + 1) // 3
        return f"{text[:head]}…{text[len(text) - (n_characters - head) :]}"

    fitting = bisect_right(range(len(text)), width, key=lambda kept: font.getlength(with_kept(kept)))
    return with_kept(max(0, fitting - 1))


@cache
def families() -> tuple[str, ...]:
    """Names of fonts in order of preference; asked once, as the font manager's search is slow.

    It keeps its list of fonts on disk: those that were installed since are added here.
    """
    known = {entry.fname for entry in font_manager.fontManager.ttflist}
    for path in font_manager.findSystemFonts():
        if path not in known:
            with contextlib.suppress(OSError, RuntimeError):  # a file that is no font, or a damaged one
                font_manager.fontManager.addfont(path)
    installed = {entry.name for entry in font_manager.fontManager.ttflist}
    return ("DejaVu Sans", *(name for name in _CJK_FAMILIES if name in installed))


@cache
def _candidates() -> tuple[str, ...]:
    return tuple(str(font_manager.findfont(name, rebuild_if_missing=False)) for name in families())


@cache
def _characters(font_path: str) -> frozenset[int]:
    return frozenset(ft2font.FT2Font(font_path).get_charmap())


@lru_cache(maxsize=32)
def _load(font_path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(font_path), size)
