"""The strip of images' scores by fold: drawn for any folds, and other for other scores."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from optdet.drawing.fold_strip import draw_fold_strip


@pytest.mark.parametrize(
    "hmeans",
    [
        {0: [0.9, 0.95, 1.0], 1: [0.2], 2: [0.94, 0.91]},
        {0: [0.0], 1: [0.0]},
        {fold: list(np.linspace(0.7, 1, 80)) for fold in range(10)},
    ],
)
def test_any_folds_are_drawn(tmp_path, hmeans):
    path = tmp_path / "folds.png"
    draw_fold_strip(hmeans, path)
    with Image.open(path) as picture:
        assert picture.size == (1000, 500)
        pixels = np.asarray(picture.convert("RGB"))
    assert (pixels != 255).any(axis=-1).mean() > 0.01


def test_equal_scores_draw_equal_pictures(tmp_path):
    hmeans = {0: [0.9, 0.95], 1: [0.93, 0.8]}
    for name, values in (("a", hmeans), ("b", hmeans), ("c", {**hmeans, 1: [0.93, 0.85]})):
        draw_fold_strip(values, tmp_path / f"{name}.png")
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c
