"""Plots of an error analysis: drawn whole, in the palette's colours, with and without errors."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from word_crowds import box, crowd

from optdet.drawing.error_plots import draw_buckets, draw_costs
from optdet.drawing.palette import BLUE, ORANGE, REDDISH_PURPLE, VERMILLION
from optdet.evaluation.error_report import error_report
from optdet.evaluation.polygon_measures import Frame
from optdet.structures import Word


def has(path, colour):
    with Image.open(path) as picture:
        return bool((np.asarray(picture) == colour).all(axis=2).any())


@pytest.fixture(scope="module")
def report():
    images = {f"{seed}.jpg": crowd(seed, 3) for seed in range(6)}
    words, found = ({name: each[part] for name, each in images.items()} for part in (0, 1))
    return error_report(words, found, frames=dict.fromkeys(words, Frame(700, 200, 0.5)))


def test_costs(report, tmp_path):
    draw_costs(report, tmp_path / "new/kinds.png")
    assert has(tmp_path / "new/kinds.png", BLUE)


def test_buckets(report, tmp_path):
    draw_buckets(report, tmp_path / "buckets.png")
    for colour in (VERMILLION, ORANGE, REDDISH_PURPLE, BLUE):
        assert has(tmp_path / "buckets.png", colour)


def test_nothing_wrong_and_nothing_at_all(tmp_path):
    words = [Word(box(10, 10, 100, 20))]
    perfect = error_report({"a.jpg": words}, {"a.jpg": [words[0].polygon]})
    empty = error_report({"a.jpg": []}, {})
    for number, each in enumerate((perfect, empty)):
        draw_costs(each, tmp_path / f"kinds{number}.png")
        draw_buckets(each, tmp_path / f"buckets{number}.png")
        assert not has(tmp_path / f"kinds{number}.png", BLUE)
