"""H-mean over thresh and box_thresh: lattices, scattered points, one, none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from optdet.drawing.landscape import LandscapePoint, draw_landscape
from optdet.drawing.palette import VERMILLION


def drawn(points: list[LandscapePoint], path: Path) -> NDArray[np.uint8]:
    draw_landscape(points, path)
    with Image.open(path) as image:
        return np.asarray(image)


def lattice(best: tuple[int, int], n: int = 4) -> list[LandscapePoint]:
    return [
        LandscapePoint(0.2 + 0.1 * i, 0.3 + 0.1 * j, 0.9 - 0.02 * (abs(i - best[0]) + abs(j - best[1])))
        for i in range(n)
        for j in range(n)
    ]


def marked_at(picture: NDArray[np.uint8]) -> tuple[float, float]:
    """The middle of what is vermillion, as shares of the width and the height from the lower left."""
    rows, columns = np.nonzero((picture == VERMILLION).all(axis=2))
    height, width = picture.shape[:2]
    return float(columns.mean()) / width, 1 - float(rows.mean()) / height


def test_the_best_cell_of_a_lattice_is_framed(tmp_path: Path) -> None:
    right, down = marked_at(drawn(lattice(best=(3, 0)), tmp_path / "a.png"))
    left, up = marked_at(drawn(lattice(best=(0, 3)), tmp_path / "b.png"))
    assert right > left + 0.4
    assert up > down + 0.4


def test_scattered_points_have_a_star_at_the_best(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points = [LandscapePoint(float(a), float(b), 0.8) for a, b in rng.uniform(0.2, 0.6, (40, 2))]
    x, y = marked_at(drawn([*points, LandscapePoint(0.62, 0.62, 0.95)], tmp_path / "a.png"))
    assert x > 0.6
    assert y > 0.7


@pytest.mark.parametrize(
    "points",
    [
        [],
        [LandscapePoint(0.3, 0.4, 0.9)],
        [LandscapePoint(0.3, 0.4, 0.9), LandscapePoint(0.3, 0.5, 0.9)],
        [LandscapePoint(0.3, 0.4, 0.0), LandscapePoint(0.35, 0.5, 0.0)],
        lattice((1, 1), n=20),
    ],
)
def test_every_set_is_a_picture(tmp_path: Path, points: list[LandscapePoint]) -> None:
    picture = drawn(points, tmp_path / "a.png")
    assert picture.shape == (700, 1000, 3)
    assert (picture == VERMILLION).all(axis=2).any() == bool(points)


def test_of_several_at_one_place_the_best_is_shown(tmp_path: Path) -> None:
    points = lattice((2, 1))
    worse = [LandscapePoint(p.thresh, p.box_thresh, p.hmean - 0.3) for p in points]
    # Also a place that differs by rounding alone.
    same = [LandscapePoint(p.thresh + 1e-12, p.box_thresh, p.hmean - 0.1) for p in points]
    np.testing.assert_array_equal(
        drawn(points, tmp_path / "a.png"), drawn([*worse, *points, *same], tmp_path / "b.png")
    )


def test_a_collapsed_corner_does_not_flatten_the_rest(tmp_path: Path) -> None:
    """Two cells that differ by 0.04 keep different colours although a third is 0.8 below them."""
    points = lattice((1, 1))
    collapsed = [LandscapePoint(p.thresh, p.box_thresh, 0.1) if p == points[-1] else p for p in points]
    picture = drawn(collapsed, tmp_path / "a.png").astype(int)
    # In the corners of the best cell and of the one at the lower left, apart from their labels.
    best, corner = picture[480, 300], picture[630, 90]
    assert np.abs(best - corner).max() > 40
