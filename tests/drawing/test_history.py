"""The history of a study: best so far, pruned and failed trials."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from optdet.drawing.history import StudyPoint, draw_history
from optdet.drawing.palette import BLUE, ORANGE, VERMILLION, Rgb


def drawn(values: list[StudyPoint], path: Path) -> NDArray[np.uint8]:
    draw_history(values, path)
    with Image.open(path) as image:
        return np.asarray(image)


def has(picture: NDArray[np.uint8], colour: Rgb) -> bool:
    return bool((picture == colour).all(axis=2).any())


def test_each_state_has_its_mark(tmp_path: Path) -> None:
    values = [
        StudyPoint(0, 0.91, "complete"),
        StudyPoint(1, 0.62, "pruned"),
        StudyPoint(2, None, "failed"),
        StudyPoint(3, 0.95, "complete"),
    ]
    picture = drawn(values, tmp_path / "h.png")
    assert picture.shape == (500, 1000, 3)
    assert all(has(picture, colour) for colour in (BLUE, ORANGE, VERMILLION))
    assert not has(drawn([values[0]], tmp_path / "h.png"), ORANGE)


@pytest.mark.parametrize(
    "values",
    [
        [],
        [StudyPoint(0, 0.9, "complete")],
        [StudyPoint(0, None, "failed")],
        [StudyPoint(0, None, "pruned"), StudyPoint(1, 0.4, "pruned")],
        [StudyPoint(i, 0.9, "complete") for i in range(300)],
    ],
)
def test_every_study_is_a_picture(tmp_path: Path, values: list[StudyPoint]) -> None:
    assert np.ptp(drawn(values, tmp_path / "h.png")) > 100


def test_trials_may_come_in_any_order(tmp_path: Path) -> None:
    values = [StudyPoint(i, 0.5 + 0.1 * (i % 3), "complete") for i in range(7)]
    np.testing.assert_array_equal(drawn(values, tmp_path / "a.png"), drawn(values[::-1], tmp_path / "b.png"))


def test_a_pruned_trial_is_never_the_best(tmp_path: Path) -> None:
    """The staircase (black) stays where the complete trial is, below the pruned one."""
    picture = drawn([StudyPoint(0, 0.5, "complete"), StudyPoint(1, 0.9, "pruned")], tmp_path / "h.png")
    plot = picture[30:400, 100:950]
    black_rows = np.flatnonzero((plot == 0).all(axis=2).sum(axis=1) > 50)
    pruned_rows = np.flatnonzero((plot == ORANGE).all(axis=2).any(axis=1))
    assert len(black_rows) > 0
    assert black_rows.min() > pruned_rows.max()


def test_global_settings_of_matplotlib_are_left_alone(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    draw_history([StudyPoint(0, 0.9, "complete")], tmp_path / "h.png")
    assert dict(matplotlib.rcParams) == before
