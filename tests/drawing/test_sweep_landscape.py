"""The picture of a dense sweep: marks in place, the top in colours, bounds and constraints in sight."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from optdet.drawing.palette import BLUE, ORANGE, SKY_BLUE, VERMILLION, Rgb
from optdet.drawing.sweep_landscape import cell_edges, draw_sweep, front_limits, scale_of
from optdet.drawing.sweep_view import NamedPoint, SweepConstraint, SweepView

Hill = Callable[..., SweepView]
Named = Callable[[str, float, float], NamedPoint]

HEAT = slice(0, 620)
FRONT = slice(720, 1400)


def drawn(view: SweepView, path: Path) -> NDArray[np.uint8]:
    draw_sweep(view, path)
    with Image.open(path) as image:
        return np.asarray(image)


def marked_at(picture: NDArray[np.uint8], colour: Rgb) -> tuple[float, float]:
    """The middle of what has a colour: pixels from the left and from the bottom."""
    rows, columns = np.nonzero((picture == colour).all(axis=2))
    return float(columns.mean()), picture.shape[0] - float(rows.mean())


def n_of(picture: NDArray[np.uint8], colour: Rgb) -> int:
    return int((picture == colour).all(axis=2).sum())


def test_the_star_is_at_the_best_in_both_panels(hill: Hill, named_point: Named, tmp_path: Path) -> None:
    low = drawn(hill((0.3, 1.5, 0.4)), tmp_path / "a.png")
    high = drawn(hill((0.7, 1.5, 0.7)), tmp_path / "b.png")
    assert low.shape == (700, 1400, 3)
    (left, down), (right, up) = (marked_at(p[:, HEAT], VERMILLION) for p in (low, high))
    assert right > left + 180
    assert up > down + 150
    # Recall rises with these points' thresh, precision with their box_thresh.
    recalling = drawn(hill(named=(named_point("best", 0.9, 0.4),)), tmp_path / "c.png")
    precise = drawn(hill(named=(named_point("best", 0.4, 0.9),)), tmp_path / "d.png")
    (right, down), (left, up) = (marked_at(p[:, FRONT], VERMILLION) for p in (recalling, precise))
    assert right > left + 60
    assert up > down + 60


def test_every_named_point_has_its_mark_in_both_panels(
    hill: Hill, named_point: Named, tmp_path: Path
) -> None:
    crowd = tuple(named_point(f"candidate {i}", 0.23 + 0.01 * i, 0.25 + 0.01 * (i % 3)) for i in range(9))
    with_marks = drawn(hill(named=(named_point("default", 0.3, 0.6), *crowd)), tmp_path / "a.png")
    without = drawn(hill(), tmp_path / "b.png")
    for colour in (SKY_BLUE, ORANGE):
        for panel in (HEAT, FRONT):
            assert n_of(with_marks[:, panel], colour) > 20 > n_of(without[:, panel], colour)
    # Ten labels, none upon another: together they cover what ten boxes cover.
    covered = (with_marks[:, HEAT] != without[:, HEAT]).any(axis=2).sum()
    assert covered > 10 * 1200


def test_a_best_at_a_bound_is_flagged_on_that_side(hill: Hill, tmp_path: Path) -> None:
    inner = drawn(hill(), tmp_path / "a.png")[:, HEAT]
    left = drawn(hill((0.1, 1.5, 0.6)), tmp_path / "b.png")[:, HEAT]
    upper = drawn(hill((0.4, 1.5, 0.9)), tmp_path / "c.png")[:, HEAT]
    assert n_of(inner[:45], VERMILLION) == 0
    assert n_of(left[:60], VERMILLION) > 200, "the words"

    def longest(picture: NDArray[np.uint8], axis: int) -> int:
        return int((picture == VERMILLION).all(axis=2).sum(axis=axis).max())

    assert longest(left, 0) > 300 > longest(upper, 0), "a line upwards"
    assert longest(upper, 1) > 300 > longest(left, 1), "a line across"


@pytest.mark.slow
def test_what_a_constraint_excludes_is_grey_in_both_panels(hill: Hill, tmp_path: Path) -> None:
    free = drawn(hill(), tmp_path / "a.png").astype(int)
    bound = drawn(hill(constraint=SweepConstraint("recall", 0.94)), tmp_path / "b.png").astype(int)

    def grey(picture: NDArray[np.int_], panel: slice) -> NDArray[np.bool_]:
        inside = picture[60:600, panel]
        spread = inside.max(axis=2) - inside.min(axis=2)
        return (spread < 35) & (inside[..., 0] > 165) & (inside[..., 0] < 225)

    heat, front = slice(90, 600), slice(820, 1360)
    for panel in (heat, front):
        assert grey(bound, panel).mean() > 0.5
        assert grey(free, panel).mean() < 0.05
    # Around the best it is met, at either side of it not.
    row = grey(bound, heat)[270 - 60]
    assert row[:20].all()
    assert row[-20:].all()
    assert row[170:190].mean() < 0.5
    # What is not an axis of the right panel is shown in the left alone: few detections, a large box_thresh.
    few = drawn(hill(constraint=SweepConstraint("n_detections", 900)), tmp_path / "c.png").astype(int)
    assert grey(few, heat)[20:100].mean() > 0.9
    assert grey(few, heat)[-200:].mean() < 0.05
    assert grey(few, front).mean() < 0.05
    # What may not be exceeded is grey on the other side.
    most = SweepConstraint("n_detections", 900, at_least=False)
    many = drawn(hill(constraint=most), tmp_path / "d.png").astype(int)
    assert grey(many, heat)[20:100].mean() < 0.05
    assert grey(many, heat)[-200:].mean() > 0.9
    high = drawn(hill(constraint=SweepConstraint("recall", 0.94, at_least=False)), tmp_path / "e.png")
    kept, lost = grey(high.astype(int), front), grey(bound, front)
    assert kept[:, -100:].mean() > 0.5 > kept[:, :20].mean()
    assert lost[:, :20].mean() > 0.5 > lost[:, -100:].mean()


def test_the_front_is_a_line_and_the_limits_hold_the_marks(
    hill: Hill, named_point: Named, tmp_path: Path
) -> None:
    assert n_of(drawn(hill(), tmp_path / "a.png")[:, FRONT], BLUE) > 200
    far = dataclasses.replace(named_point("default", 0.3, 0.6), precision=0.4, recall=0.99)
    view = hill(named=(far,), constraint=SweepConstraint("recall", 0.2))
    (left, right), (bottom, top) = front_limits(view, scale_of(view))
    assert left < 0.2
    assert right > 0.99
    assert bottom < 0.4
    assert top > view.best().precision


def test_colours_show_the_top_alone(hill: Hill) -> None:
    scale = scale_of(hill())
    assert scale.vmax == pytest.approx(0.95)
    assert scale.vmin == pytest.approx(0.95 - 10 * 0.002)
    assert scale_of(hill(standard_error=None)).vmin < 0.93


def test_edges_are_between_the_values() -> None:
    np.testing.assert_allclose(cell_edges(np.array([0.1, 0.2, 0.4])), [0.05, 0.15, 0.3, 0.5])
    np.testing.assert_allclose(cell_edges(np.array([0.3])), [0.295, 0.305])


@pytest.mark.parametrize("k", [slice(0, 1), slice(0, 2), slice(None)])
@pytest.mark.parametrize("flat", [None, 0.0, 1.0])
@pytest.mark.thin(2)
def test_every_lattice_is_a_picture(hill: Hill, tmp_path: Path, k: slice, flat: float | None) -> None:
    view = hill(standard_error=None, title="50 $ and a $")
    arrays = {n: getattr(view, n)[k] for n in ("hmean", "precision", "recall", "n_detections")}
    if flat is not None:
        arrays = {n: np.full_like(array, flat) for n, array in arrays.items()}
    picture = drawn(dataclasses.replace(view, thresh=view.thresh[k], **arrays), tmp_path / "a.png")
    assert n_of(picture, VERMILLION) > 50


def test_the_same_bytes_again_and_nothing_is_changed(hill: Hill, tmp_path: Path) -> None:
    view = hill()
    before = view.hmean.copy()
    for name in ("a.png", "b.png"):
        draw_sweep(view, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    np.testing.assert_array_equal(view.hmean, before)
