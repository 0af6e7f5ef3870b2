"""Scores with their intervals below one another."""

from __future__ import annotations

import numpy as np
from PIL import Image

from optdet.drawing.intervals import IntervalRow, draw_intervals
from optdet.drawing.palette import BLUE, VERMILLION

ROWS = [IntervalRow("a", 0.9, 0.88, 0.92, 0.895), IntervalRow("both", 0.95, 0.94, 0.96, None, marked=True)]


def drawn(rows, path):
    draw_intervals(rows, path, heading="heading", label="H-mean")
    return np.array(Image.open(path))


def where(picture, colour):
    rows, columns = np.nonzero((np.abs(picture.astype(int) - colour) < 12).all(axis=2))
    return rows.mean(), columns.mean(), np.ptp(columns)


def test_each_score_stands_in_its_row_and_interval(tmp_path):
    picture = drawn(ROWS, tmp_path / "a.png")
    assert picture.shape[1:] == (1000, 3)
    (row_a, middle_a, width_a), (row_b, middle_b, width_b) = (where(picture, c) for c in (BLUE, VERMILLION))
    assert row_a < row_b
    assert middle_a < middle_b
    assert abs(width_a / width_b - 2) < 0.1  # 0.04 and 0.02


def test_many_rows_make_a_taller_picture(tmp_path):
    few, many = (drawn(ROWS * n, tmp_path / f"{n}.png").shape[0] for n in (1, 8))
    assert many > few + 14 * 30
