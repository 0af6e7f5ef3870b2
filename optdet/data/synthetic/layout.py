"""Where each word of a receipt is printed.

Unit: print pixels, ``PRINT_SCALE`` of them to about one pixel of the picture, so that glyphs are sampled
down, as a camera does. Coordinates are continuous with (0, 0) at the paper's outer top left corner: the print
pixel in column c covers x from c to c + 1. A word's quad is the box of its ink, clockwise from top left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optdet.data.synthetic.content import Cell, Row, compose_rows
from optdet.data.synthetic.fonts import FACES, Mask, TypeStyle, word_mask
from optdet.data.synthetic.marks import barcode_mask, logo_mask, rule_mask
from optdet.structures import FloatArray

PRINT_SCALE = 2
REFERENCE_SIZE = 512  # text and paper sizes below are meant for a picture of this longest side


@dataclass(frozen=True, slots=True)
class Stamp:
    """A piece of print: mask uint8 (h, w) with its top left pixel in column ``x``, row ``y``."""

    mask: Mask
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class PrintedWord:
    """``inverse`` words are left white in a printed bar; ``strength`` is the share of full ink, 0..1."""

    text: str
    stamp: Stamp
    inverse: bool
    strength: float

    @property
    def quad(self) -> FloatArray:
        height, width = self.stamp.mask.shape
        left, top = float(self.stamp.x), float(self.stamp.y)
        right, bottom = left + width, top + height
        return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


@dataclass(frozen=True, slots=True)
class Page:
    """A laid out receipt: paper size in print pixels, its words, and all other print (not labelled)."""

    width: int
    height: int
    style: TypeStyle
    words: tuple[PrintedWord, ...]
    marks: tuple[Stamp, ...]


def lay_out_page(rng: np.random.Generator, size: int, difficulty: float) -> Page:
    """A receipt for a picture whose longest side is ``size`` pixels; harder ones are set more tightly."""
    # Below the reference the text keeps its size (it must stay legible) and the receipt gets shorter.
    relative = max(size / REFERENCE_SIZE, 0.9) ** 0.6
    face = FACES[int(rng.integers(len(FACES)))]
    em = PRINT_SCALE * relative * (rng.uniform(12.5, 17.0) - 1.0 * difficulty)
    stretch = float(rng.uniform(0.72, 0.9) if face.monospaced else rng.uniform(0.8, 1.0))
    style = TypeStyle(face, size=round(em), bold=bool(rng.random() < 0.15), stretch=stretch)
    width = round(
        PRINT_SCALE * size * rng.uniform(0.5, 0.78) * (1.15 if size < 0.7 * REFERENCE_SIZE else 1.0)
    )
    pitch = em * (1.45 - 0.33 * difficulty) * rng.uniform(0.95, 1.12)
    top = em * rng.uniform(0.8, 2.2)
    n_lines = (PRINT_SCALE * size * 0.97 - 2 * top) / pitch * rng.uniform(0.7, 1.0)
    press = _Press(
        rng, style, width, margin=width * rng.uniform(0.03, 0.1), difficulty=difficulty, pitch=pitch
    )
    y = top
    for row in compose_rows(rng, n_lines):
        press.print_row(row, y)
        y += row.height * pitch
    return Page(width, round(y + top), style, tuple(press.words), tuple(press.marks))


class _Press:
    """Sets rows of cells one below the other; collects words and marks."""

    def __init__(
        self,
        rng: np.random.Generator,
        style: TypeStyle,
        width: int,
        *,
        margin: float,
        difficulty: float,
        pitch: float,
    ) -> None:
        self.rng = rng
        self.style = style
        self.left, self.right = margin, width - margin
        self.pitch = pitch
        self.space = 0.6 - 0.24 * difficulty  # of an em, between words
        self.difficulty = difficulty
        self.words: list[PrintedWord] = []
        self.marks: list[Stamp] = []

    def print_row(self, row: Row, y: float) -> None:
        height, room = row.height * self.pitch, self.right - self.left
        if row.kind == "rule":
            mask = rule_mask(self.rng, self.style, int(room))
            self.marks.append(Stamp(mask, int(self.left), round(y + (height - mask.shape[0]) / 2)))
        elif row.kind == "logo":
            mask = logo_mask(self.rng, int(self.rng.uniform(0.25, 0.7) * room), int(height * 0.85))
            self._centre(mask, y)
        elif row.kind == "barcode":
            mask = barcode_mask(self.rng, int(self.rng.uniform(0.5, 0.95) * room), int(height * 0.9))
            self._centre(mask, y)
        elif row.cells:
            self._print_cells(row, y, height)

    def _centre(self, mask: Mask, y: float) -> None:
        self.marks.append(Stamp(mask, int((self.left + self.right - mask.shape[1]) / 2), int(y)))

    def _print_cells(self, row: Row, y: float, height: float) -> None:
        style = self._row_style(row)
        baseline = round(y + (height + style.cap_height) / 2)
        inverse = row.kind == "inverse"
        if inverse:
            bar = np.full((int(height * 0.94), int(self.right - self.left)), 255, np.uint8)
            self.marks.append(Stamp(bar, int(self.left), round(y + height * 0.03)))
        inset = 0.35 * style.size if inverse else 0.0
        weakest = 1.0 - 0.35 * self.difficulty
        strength = self.rng.uniform(weakest, 1.0) if not inverse and self.rng.random() < 0.35 else 1.0
        limit = self.right - inset
        # From the right: numbers are never cut, a long name gives way to them.
        for cell in sorted(row.cells, key=lambda cell: -cell.x):
            tokens, start = self._fit(cell, style, limit=limit, inset=inset)
            self._print_words(tokens, style, start, baseline, inverse=inverse, strength=strength)
            if tokens:
                limit = min(limit, start - self.space * style.size)

    def _row_style(self, row: Row) -> TypeStyle:
        size = self.style.size
        if row.kind == "title":
            style = replace(self.style, size=round(size * self.rng.uniform(1.35, 1.8)), bold=True)
            room = self.right - self.left
            while style.size > size and self._width(row.cells[0].text.split(), style) > room:
                style = replace(style, size=style.size - 1)
            return style
        if row.kind == "big":
            return replace(self.style, size=round(size * 1.35), bold=True)
        if row.kind == "small":
            return replace(self.style, size=round(size * 0.93))
        return replace(self.style, bold=True) if row.kind in ("strong", "inverse") else self.style

    def _fit(self, cell: Cell, style: TypeStyle, *, limit: float, inset: float) -> tuple[list[str], float]:
        """As many of the cell's first words as fit left of ``limit``, and where they start."""
        first, last = self.left + inset, self.right - inset
        anchor = first + cell.x * (last - first)
        tokens = cell.text.split()
        while tokens:
            width = self._width(tokens, style)
            start = {"left": anchor, "center": anchor - width / 2, "right": anchor - width}[cell.align]
            if first - 1 <= start and start + width <= limit + 1:
                return tokens, start
            tokens.pop()
        return [], anchor

    def _print_words(
        self,
        tokens: list[str],
        style: TypeStyle,
        start: float,
        baseline: int,
        *,
        inverse: bool,
        strength: float,
    ) -> None:
        pen = start
        for token in tokens:
            ink = word_mask(style, token)
            if ink is not None:
                stamp = Stamp(ink.mask, round(pen) + ink.left, baseline + ink.top)
                self.words.append(PrintedWord(token, stamp, inverse, strength))
            pen += style.advance(token) + self.space * style.size

    def _width(self, tokens: list[str], style: TypeStyle) -> float:
        return sum(style.advance(token) for token in tokens) + self.space * style.size * (len(tokens) - 1)
