"""Images and their copies on one sheet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from optdet.data.duplicates import Overlap, Pair
from optdet.data.images import read_image
from optdet.drawing.copies import draw_copies, write_copies
from optdet.errors import OptdetError


def pair(folder: Path, left: str, right: str, likeness: float = 1.0) -> Pair:
    for name in (left, right):
        Image.new("RGB", (300, 900), name).save(folder / f"{name}.png")
    return Pair(str(folder / f"{left}.png"), str(folder / f"{right}.png"), "near copy", likeness)


def test_both_images_of_a_pair_lie_next_to_each_other(tmp_path: Path) -> None:
    sheet = draw_copies([pair(tmp_path, "red", "blue"), pair(tmp_path, "lime", "blue")])
    columns = {}
    for colour, rgb in (("red", (255, 0, 0)), ("blue", (0, 0, 255)), ("lime", (0, 255, 0))):
        rows, places = np.nonzero((sheet == rgb).all(axis=2))
        columns[colour] = places.max(), rows.max()
        assert len(rows) == 173 * 520 * (2 if colour == "blue" else 1)
    assert columns["red"][0] < columns["blue"][0]
    assert columns["red"][1] < columns["lime"][1]


def test_the_least_alike_are_drawn_first_and_twelve_at_most(tmp_path: Path) -> None:
    pairs = [pair(tmp_path, "red", "blue", 0.9 + n / 1000) for n in range(13)]
    overlap = Overlap("one", "two", False, 13, tuple(reversed(pairs)))
    assert write_copies([overlap], tmp_path / "sheet.jpg") == 12
    expected = draw_copies(pairs[:12])
    assert read_image(tmp_path / "sheet.jpg").shape == expected.shape
    assert write_copies([], tmp_path / "none.jpg") == 0
    assert not (tmp_path / "none.jpg").exists()
    with pytest.raises(OptdetError, match="no such folder"):
        write_copies([overlap], tmp_path / "nowhere" / "sheet.jpg")
