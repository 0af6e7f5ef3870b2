"""The curve of a trial: drawn for none, one and many epochs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from optdet.drawing.curve import EpochPoint, draw_curve
from optdet.drawing.palette import OKABE_ITO, VERMILLION, Rgb


def points(n_epochs: int, hmean: float | None = 0.9) -> list[EpochPoint]:
    return [
        EpochPoint(
            epoch=epoch,
            losses={"total": 5 / epoch, "probability": 1 / epoch, "threshold": 0.3 / epoch},
            hmean=None if hmean is None else hmean - 0.5 / epoch,
            lr=3e-4 / epoch,
            seconds=12.5,
        )
        for epoch in range(1, n_epochs + 1)
    ]


def drawn(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


def has(picture: NDArray[np.uint8], colour: Rgb, rows: int = 700) -> bool:
    """Whether the colour is in the upper rows; the H-mean stands in the first 250."""
    return bool((picture[:rows] == colour).all(axis=2).any())


@pytest.mark.parametrize("n_epochs", [0, 1, 22])
def test_every_length_is_a_picture(tmp_path: Path, n_epochs: int) -> None:
    draw_curve(points(n_epochs), tmp_path / "curve.png")
    picture = drawn(tmp_path / "curve.png")
    assert picture.shape == (700, 1000, 3)
    assert has(picture, VERMILLION, rows=250) == (n_epochs > 0)
    # Each loss in its colour.
    assert all(has(picture[250:], colour) for colour in OKABE_ITO[:3]) == (n_epochs > 0)


def test_epochs_without_validation(tmp_path: Path) -> None:
    draw_curve(points(2, hmean=None), tmp_path / "none.png")
    assert not has(drawn(tmp_path / "none.png"), VERMILLION, rows=250)
    mixed = [*points(2, hmean=None), EpochPoint(3, {}, 0.8, 1e-4, 1.0)]
    draw_curve(mixed, tmp_path / "mixed.png")
    assert has(drawn(tmp_path / "mixed.png"), VERMILLION, rows=250)


def test_losses_that_have_no_finite_logarithm_are_left_out(tmp_path: Path) -> None:
    losses = {"zero": 0.0, "negative": -1.0, "nan": math.nan, "infinite": math.inf}
    draw_curve([EpochPoint(1, losses, 0.5, 1e-4, 1.0)], tmp_path / "with.png")
    draw_curve([EpochPoint(1, {}, 0.5, 1e-4, 1.0)], tmp_path / "without.png")
    np.testing.assert_array_equal(drawn(tmp_path / "with.png"), drawn(tmp_path / "without.png"))


def test_the_best_is_the_first_of_equals(tmp_path: Path) -> None:
    """A later epoch with the same H-mean must not move the star: the checkpoint kept is the first one's."""

    def star_at(hmeans: list[float]) -> float:
        history = [EpochPoint(i, {}, hmean, 1e-4, 1.0) for i, hmean in enumerate(hmeans, start=1)]
        draw_curve(history, tmp_path / "curve.png")
        marked = (drawn(tmp_path / "curve.png") == VERMILLION).all(axis=2)
        # The star is the only vermillion that is more than a dotted line high.
        columns = np.flatnonzero(marked.sum(axis=0) > 5)
        return float(columns.mean())

    assert star_at([0.5, 0.9, 0.9, 0.7]) < star_at([0.5, 0.8, 0.9, 0.7]) - 50


def test_the_same_bytes_again(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw_curve(points(3), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
