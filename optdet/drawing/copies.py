"""Images and their copies side by side, on one sheet: to see whether they are copies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from optdet.data.duplicates import Overlap, Pair
from optdet.data.images import read_image
from optdet.drawing.canvas import Canvas, Picture
from optdet.drawing.jpeg import write_jpeg
from optdet.drawing.side_by_side import side_by_side
from optdet.errors import OptdetError

_MOST = 12
_HEIGHT, _WIDTH = 520, 480
_LINE = 18
_MARGIN = 16


def write_copies(overlaps: Sequence[Overlap], path: Path) -> int:
    """Draw the pairs of which it is least sure, those between sources first where they are alike; returns how
    many, at most 12. Nothing is written for none.
    """
    pairs = sorted((pair for overlap in overlaps for pair in overlap.pairs), key=lambda pair: pair.likeness)
    if not pairs:
        return 0
    if not path.parent.is_dir():
        raise OptdetError("there is no such folder", where=str(path.parent), fix="make it, or name another")
    write_jpeg(path, draw_copies(pairs[:_MOST]))
    return min(_MOST, len(pairs))


def draw_copies(pairs: Sequence[Pair]) -> Picture:
    """One pair below another, RGB, each under two lines that name its images."""
    rows = [side_by_side(_fitted(pair.first), _fitted(pair.second)) for pair in pairs]
    width = max(2 * _WIDTH, *(row.shape[1] for row in rows)) + 2 * _MARGIN
    height = sum(len(row) + 3 * _LINE + _MARGIN for row in rows) + _MARGIN
    canvas = Canvas(height, width)
    top = _MARGIN
    for number, (row, pair) in enumerate(zip(rows, pairs, strict=True), start=1):
        head = f"{number}. {pair.kind}, likeness {pair.likeness:.2f}: {pair.first}"
        for line, text in enumerate((head, f"    and {pair.second}")):
            canvas.text(text, left=_MARGIN, top=top + line * _LINE, size=_LINE - 4, width=width - 2 * _MARGIN)
        canvas.paste(row, left=_MARGIN, top=top + 2 * _LINE + 6)
        top += len(row) + 3 * _LINE + _MARGIN
    return canvas.pixels


def _fitted(name: str) -> Picture:
    """An image shrunk to its half of the sheet."""
    picture = read_image(Path(name))
    height, width = picture.shape[:2]
    scale = min(1.0, _HEIGHT / height, _WIDTH / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
