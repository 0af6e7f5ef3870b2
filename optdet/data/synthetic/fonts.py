"""Type faces that need no installation, and words rasterised with them.

Faces: matplotlib's bundled DejaVu files and the font inside Pillow. Sizes are print pixels (see ``layout``).
Masks are uint8 (h, w), 0 = no ink, 255 = full ink, cut to the ink: their first and last rows and columns are
not empty. Positions are relative to the pen's start on the baseline, x to the right, y down.
Text is laid out by FreeType's plain engine, so that a machine with Raqm gives the same pixels as one without.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from optdet.errors import OptdetError

Mask = NDArray[np.uint8]
PILLOW_FONT = "Pillow"  # stands for the font that Pillow carries; it has one weight
INK_LEVEL = 24  # fainter pixels of a glyph's edge are not seen: the box of the ink leaves them out
_SPARE = 2  # a rasteriser's edge may reach past the box that the font states


@dataclass(frozen=True, slots=True)
class Face:
    """A type face: the file names of its two weights."""

    name: str
    regular: str
    bold: str
    monospaced: bool


FACES: tuple[Face, ...] = (
    Face("sans", "DejaVuSans.ttf", "DejaVuSans-Bold.ttf", monospaced=False),
    Face("sans-oblique", "DejaVuSans-Oblique.ttf", "DejaVuSans-BoldOblique.ttf", monospaced=False),
    Face("serif", "DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf", monospaced=False),
    Face("mono", "DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf", monospaced=True),
    Face("mono-oblique", "DejaVuSansMono-Oblique.ttf", "DejaVuSansMono-BoldOblique.ttf", monospaced=True),
    Face("grotesque", PILLOW_FONT, PILLOW_FONT, monospaced=False),
)


@dataclass(frozen=True, slots=True)
class TypeStyle:
    """How a word is set: ``size`` in print pixels an em, ``stretch`` the width relative to the face's own."""

    face: Face
    size: int
    bold: bool = False
    stretch: float = 1.0

    def advance(self, text: str) -> float:
        return _font(self.file, self.size).getlength(text) * self.stretch

    @property
    def cap_height(self) -> float:
        return -_font(self.file, self.size).getbbox("H", anchor="ls")[1]

    @property
    def file(self) -> str:
        return self.face.bold if self.bold else self.face.regular


@dataclass(frozen=True, slots=True)
class WordMask:
    """A rasterised word: ``left`` and ``top`` place the mask's corner relative to the pen's start."""

    mask: Mask
    left: int
    top: int


def word_mask(style: TypeStyle, text: str) -> WordMask | None:
    """The ink of ``text``, or None where it leaves none (spaces)."""
    font = _font(style.file, style.size)
    left, top, right, bottom = (int(edge) for edge in font.getbbox(text, anchor="ls"))
    canvas = Image.new("L", (right - left + 2 * _SPARE, bottom - top + 2 * _SPARE))
    ImageDraw.Draw(canvas).text((_SPARE - left, _SPARE - top), text, fill=255, font=font, anchor="ls")
    mask = np.asarray(canvas)
    if style.stretch != 1.0:
        stretched = max(1, round(mask.shape[1] * style.stretch))
        mask = cv2.resize(mask, (stretched, mask.shape[0]), interpolation=cv2.INTER_AREA)
    rows = np.flatnonzero((mask >= INK_LEVEL).any(axis=1))
    columns = np.flatnonzero((mask >= INK_LEVEL).any(axis=0))
    if rows.size == 0:
        return None
    ink = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return WordMask(
        mask=ink,
        left=round((left - _SPARE) * style.stretch) + int(columns[0]),
        top=top - _SPARE + int(rows[0]),
    )


@lru_cache(maxsize=256)
def _font(file: str, size: int) -> ImageFont.FreeTypeFont:
    source = BytesIO(_font_bytes(file))
    return ImageFont.truetype(source, size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=16)
def _font_bytes(file: str) -> bytes:
    if file == PILLOW_FONT:
        return _pillow_font_bytes()
    return (Path(matplotlib.get_data_path()) / "fonts" / "ttf" / file).read_bytes()


def _pillow_font_bytes() -> bytes:
    """Pillow's own TrueType font."""
    font = ImageFont.load_default(size=10)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise OptdetError("Pillow was built without FreeType", fix="install one of Pillow's wheels")
    return bytes(font.font_bytes)
