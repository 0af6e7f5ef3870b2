"""JPEG files."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from optdet.drawing.jpeg import write_jpeg
from optdet.errors import OptdetError


def test_a_picture_comes_back_in_its_colours(tmp_path):
    picture = np.full((20, 30, 3), (200, 40, 90), dtype=np.uint8)
    write_jpeg(tmp_path / "p.jpg", picture)
    stored = Image.open(tmp_path / "p.jpg")
    assert (stored.format, stored.size) == ("JPEG", (30, 20))
    assert np.abs(np.asarray(stored).astype(int) - picture).max() < 8


def test_what_cannot_be_written_is_said(tmp_path):
    with pytest.raises(OptdetError, match="the picture cannot be written"):
        write_jpeg(tmp_path / "none" / "p.jpg", np.zeros((4, 4, 3), np.uint8))
