"""What is read off a dense sweep: its best, the bounds that it reaches, the front, the constraint."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from optdet.drawing.sweep_view import NamedPoint, SweepConstraint, SweepView, precision_recall_front

Hill = Callable[..., SweepView]
Named = Callable[[str, float, float], NamedPoint]


def test_the_best_is_the_named_one_else_the_lattices(hill: Hill, named_point: Named) -> None:
    found = hill().best()
    assert (found.thresh, found.box_thresh, found.unclip_ratio) == (0.4, 0.6, 1.5)
    assert found.hmean == pytest.approx(0.95)
    named = hill(named=(named_point("best", 0.33, 0.61), named_point("default", 0.3, 0.6)))
    assert named.best().thresh == 0.33
    assert named.with_best() == named.named
    assert [p.name for p in hill(named=(named_point("x", 0.3, 0.6),)).with_best()] == ["x", "best"]


def test_the_best_meets_the_constraint_where_anything_does(hill: Hill) -> None:
    view = hill(constraint=SweepConstraint("precision", 0.955))
    best = view.best()
    assert best.precision >= 0.955
    assert best.hmean == view.hmean[view.precision >= 0.955].max() < 0.95
    assert hill(constraint=SweepConstraint("recall", 2.0)).best().hmean == pytest.approx(0.95)
    fewest = hill(constraint=SweepConstraint("n_detections", 1300))
    np.testing.assert_array_equal(fewest.meets_constraint(), fewest.n_detections >= 1300)
    most = hill(constraint=SweepConstraint("n_detections", 900, at_least=False))
    np.testing.assert_array_equal(most.meets_constraint(), most.n_detections <= 900)
    assert 0 < most.meets_constraint().sum() < most.hmean.size


@pytest.mark.parametrize(
    ("best", "expected"),
    [
        ((0.4, 1.5, 0.6), []),
        ((0.2, 1.5, 0.6), ["thresh ≥ 0.1"]),  # one step away
        ((0.3, 1.5, 0.7), []),
        ((0.9, 1.0, 0.8), ["thresh ≤ 0.9", "box_thresh ≤ 0.9", "unclip_ratio ≥ 1"]),
    ],
)
def test_a_bound_is_reached_within_one_step(
    hill: Hill, best: tuple[float, float, float], expected: list[str]
) -> None:
    assert [str(bound) for bound in hill(best).reached_bounds()] == expected


@pytest.mark.parametrize(
    ("values", "best", "expected"),
    [
        ([2], 0, []),
        ([1, 2], 0, []),
        ([1, 2, 3], 1, []),
        ([1, 2, 3], 0, ["unclip_ratio ≥ 1.25"]),
        ([0, 1, 2, 3], 2, []),
        ([0, 1, 2, 3], 3, ["unclip_ratio ≤ 1.75"]),
        ([0, 1, 2, 3, 4], 3, ["unclip_ratio ≤ 2"]),
    ],
)
def test_short_axes_have_the_bounds_that_the_choice_says_they_have(
    hill: Hill, values: list[int], best: int, expected: list[str]
) -> None:
    view = hill()
    ratios = view.unclip_ratio[values]
    short = dataclasses.replace(
        hill((0.4, float(ratios[best]), 0.6)),
        unclip_ratio=ratios,
        **{n: getattr(view, n)[:, values] for n in ("precision", "recall", "n_detections")},
        hmean=hill((0.4, float(ratios[best]), 0.6)).hmean[:, values],
    )
    assert [str(bound) for bound in short.reached_bounds()] == expected


def test_distances_from_the_best_are_from_what_may_be_chosen(hill: Hill) -> None:
    view = hill(constraint=SweepConstraint("precision", 0.955))
    assert view.highest() == view.best().hmean < hill().highest() == pytest.approx(0.95)
    assert hill(constraint=SweepConstraint("recall", 2.0)).highest() == pytest.approx(0.95)


def test_the_front_is_what_nothing_beats() -> None:
    rng = np.random.default_rng(0)
    # Rounded, so that there are equal values and equal points.
    precision, recall = rng.integers(0, 30, (2, 400)) / 30
    front = precision_recall_front(precision, recall)
    pairs = list(zip(precision, recall, strict=True))
    best = {(p, r) for p, r in pairs if not any(q >= p and s >= r and (q, s) != (p, r) for q, s in pairs)}
    assert {pairs[i] for i in front} == best
    assert len(front) == len(best), "each place once"
    assert (np.diff(recall[front]) > 0).all()
    assert (np.diff(precision[front]) < 0).all()


def test_what_cannot_be_drawn_is_refused(hill: Hill) -> None:
    view = hill()
    with pytest.raises(ValueError, match="ascending"):
        dataclasses.replace(view, thresh=view.thresh[::-1])
    with pytest.raises(ValueError, match=r"recall must hold finite values of shape \(9, 5, 9\)"):
        dataclasses.replace(view, recall=view.recall[1:])
    with pytest.raises(ValueError, match="precision must hold finite"):
        dataclasses.replace(view, precision=np.full_like(view.precision, np.nan))
