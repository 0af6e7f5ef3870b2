"""Rules on landscapes that are drawn by hand: what each takes, under bounds, and cross-fitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optdet.errors import OptdetError
from optdet.evaluation.constraint import Constraint
from optdet.evaluation.landscape import Landscape, SweepBest, SweepLattice
from optdet.evaluation.selection import (
    choose,
    choose_point,
    crossfit,
    crossfit_thresholds,
    smoothed,
    smoothed_points,
)
from optdet.structures import Thresholds

LATTICE = SweepLattice(
    thresh=tuple(step / 20 for step in range(1, 20)),
    box_thresh=tuple(step / 20 for step in range(1, 20)),
    unclip_ratio=(1.5, 2.0),
    max_candidates=(1000,),
    use_polygon=False,
    min_side=3.0,
)
AXES = (19, 2, 1, 19)


def landscape(hmean, *, parts=None, precision=None, recall=None, n_detections=None, lattice=LATTICE):
    """Of five images, one of each part, unless ``parts`` says otherwise."""
    index = np.unravel_index(int(np.argmax(hmean)), hmean.shape)
    thresholds = lattice.at(*(int(i) for i in index))
    return Landscape(
        lattice=lattice,
        metric="competition",
        names=tuple("abcde"),
        precision=hmean if precision is None else precision,
        recall=hmean if recall is None else recall,
        hmean=hmean,
        n_detections=np.full(hmean.shape, 10) if n_detections is None else n_detections,
        global_counts=np.zeros((*hmean.shape, 5), dtype=np.int64),
        n_expected=0,
        part_hmeans=np.repeat(hmean[..., None], 5, axis=-1) if parts is None else parts,
        part_sizes=np.ones(5, dtype=np.int64),
        best=SweepBest(thresholds, float(hmean.max()), (0.0, 1.0)),
        constraint=None,
        part_bounded=np.zeros((0, 5)),
        candidates=(),
        image_hmeans=None,
    )


def plateau_and_spike(spike=0.905):
    """.9 around thresh .3 and box_thresh .3; one higher point at .8, .8, in a pit."""
    hmean = np.full(AXES, 0.5)
    hmean[3:8, :, :, 3:8] = 0.9
    hmean[15, 0, 0, 15] = spike
    return hmean


def test_best_takes_the_spike_and_robust_the_middle_of_the_plateau():
    drawn = landscape(plateau_and_spike())
    assert choose([drawn], "best").thresholds == Thresholds(0.8, 0.8, 1.5, 1000, False, 3.0)
    robust = choose([drawn], "robust")
    assert (robust.thresholds.thresh, robust.thresholds.box_thresh, robust.hmean) == (0.3, 0.3, 0.9)


def test_robust_leaves_a_plateau_that_lies_far_below_a_spike():
    """As of a detector that is hardly trained: it finds words between two thresholds, and no more else."""
    assert choose([landscape(plateau_and_spike(0.91))], "robust").hmean == 0.9
    drawn = landscape(plateau_and_spike(0.92))
    assert choose([drawn], "robust").hmean == 0.92
    assert crossfit([drawn], "robust") == pytest.approx(0.92)
    low = landscape(np.full(AXES, 0.9), lattice=replace(LATTICE, use_polygon=True))
    assert choose([low, drawn], "robust") == choose([drawn], "robust")


def test_scattered_points_are_chosen_by_the_same_rules():
    usual = Thresholds(0.3, 0.5, 1.5, 1000, False, 3.0)
    points = [replace(usual, thresh=thresh) for thresh in (0.3, 0.31, 0.32, 0.8)]
    pit = [replace(usual, thresh=thresh) for thresh in (0.79, 0.81)]
    for spike, taken in ((0.905, 1), (0.92, 3)):
        hmeans = np.array([0.89, 0.9, 0.89, spike, 0.5, 0.5])
        assert choose_point([*points, *pit], hmeans, "robust") == taken
        assert choose_point([*points, *pit], hmeans, "best") == 3


def test_the_higher_of_two_landscapes():
    polygons = replace(LATTICE, use_polygon=True)
    low, high = landscape(plateau_and_spike()), landscape(plateau_and_spike() + 0.01, lattice=polygons)
    for select in ("best", "robust"):
        assert choose([low, high], select).thresholds.use_polygon
        assert choose([high, low], select).thresholds.use_polygon
        assert not choose([low, low], select).thresholds.use_polygon


def test_smoothing_keeps_a_constant_and_weighs_by_distance_not_by_steps():
    drawn = landscape(np.full(AXES, 0.7))
    assert smoothed(drawn, drawn.hmean) == pytest.approx(np.full(AXES, 0.7))
    fine = SweepLattice(tuple(s / 100 for s in range(5, 96)), (0.5,), (1.5,), (1000,), False, 3.0)
    coarse = SweepLattice(tuple(s / 20 for s in range(1, 20)), (0.5,), (1.5,), (1000,), False, 3.0)
    step = {
        lattice: np.array([1.0 if t > 0.5 else 0.0 for t in lattice.thresh]).reshape(-1, 1, 1, 1)
        for lattice in (fine, coarse)
    }
    at = {lattice: lattice.thresh.index(0.45) for lattice in (fine, coarse)}
    values = [
        float(smoothed(landscape(step[lattice], lattice=lattice), step[lattice])[at[lattice], 0, 0, 0])
        for lattice in (fine, coarse)
    ]
    assert values[0] == pytest.approx(values[1], abs=0.1)
    assert 0 < min(values) < max(values) < 0.3


def test_scattered_points_are_averaged_within_their_kind():
    usual = Thresholds(0.3, 0.5, 1.5, 1000, False, 3.0)
    points = [
        usual,
        replace(usual, thresh=0.31),
        replace(usual, use_polygon=True),
        replace(usual, thresh=0.9),
    ]
    values = smoothed_points(points, np.array([1.0, 0.0, 0.5, 0.2]))
    assert 0.4 < values[1] < 0.5 < values[0] < 0.6
    assert values[2:].tolist() == [0.5, 0.2]


def bounded(drawn, text, part_values, best=None):
    """With a constraint; ``part_values`` (..., parts) are those of the one image of each part."""
    return replace(drawn, constraint=Constraint.parse(text), part_bounded=part_values, best=best)


def test_a_constraint_bounds_the_robust_choice():
    hmean = plateau_and_spike()
    recall = np.repeat(
        np.broadcast_to(np.array(LATTICE.thresh)[:, None, None, None, None], (*AXES, 1)), 5, -1
    )
    free = choose([landscape(hmean)], "robust").thresholds.thresh
    bound = choose([bounded(landscape(hmean), "recall<=0.2500001", recall)], "robust").thresholds.thresh
    assert bound == 0.25 < free
    boxes = np.repeat(np.where(hmean >= 0.9, 1000, 10)[..., None], 5, axis=-1)
    kept = choose([bounded(landscape(hmean), "boxes <= 500", boxes)], "robust")
    assert kept.hmean == 0.5


@pytest.mark.parametrize("select", ["best", "robust"])
def test_a_constraint_that_nothing_keeps(select):
    drawn = bounded(landscape(plateau_and_spike()), "precision>=0.99", np.full((*AXES, 5), 0.9))
    with pytest.raises(OptdetError, match=r"no thresholds keep precision>=0.99"):
        choose([drawn], select)
    assert crossfit([drawn], select) is None


@pytest.mark.parametrize(
    ("text", "first", "others", "expected"),
    [
        ("recall>=0.9", 1.0, 0.875, (0.4 + 4 * 0.8) / 5),  # .875 without the first image, else .906
        ("boxes<=50", 12, 10, (0.8 + 4 * 0.4) / 5),  # of five images as without the first 50, else 52.5
    ],
)
def test_crossfit_keeps_the_constraint_on_the_images_that_it_chooses_on(text, first, others, expected):
    """Two points: .8 on every image, where the bound may not be kept, and .4, where it is."""
    lattice = SweepLattice((0.1, 0.2), (0.5,), (1.5,), (1000,), False, 3.0)
    values = np.ones((2, 1, 1, 1, 5))
    values[0] = [first, *[others] * 4]
    drawn = landscape(np.array([0.8, 0.4]).reshape(2, 1, 1, 1), lattice=lattice)
    assert crossfit([bounded(drawn, text, values)], "best") == pytest.approx(expected)


@pytest.mark.parametrize("text", ["recall", "recall>0.9", "hmean>=0.9", "recall>=high", "recall>=.", ""])
def test_what_is_no_constraint(text):
    with pytest.raises(OptdetError, match="is not a constraint"):
        Constraint.parse(text)


def test_several_constraints_are_refused():
    assert Constraint.only([]) is None
    assert Constraint.only(["recall>=0.9"]) == Constraint.parse("recall>=0.9")
    with pytest.raises(OptdetError, match=r"2 constraints: recall>=0.9, precision>=0.9; give one"):
        Constraint.only(["recall>=0.9", "precision>=0.9"])


@pytest.mark.parametrize("text", ["recall>=0.9912345678", "precision<=0.5", "boxes<=9000"])
def test_a_constraint_is_written_as_it_was_given(text):
    assert str(Constraint.parse(text)) == text


def test_a_bound_that_is_the_score_itself_allows_it():
    """Sums over images are kept in fixed point, good to twelve digits."""
    score = 0.9930871277916893
    assert Constraint.parse(f"recall>={score}").allows(np.array([score - 1e-12, score - 1e-6])).tolist() == [
        True,
        False,
    ]
    assert Constraint.parse("boxes<=90").allows(np.array([90, 91])).tolist() == [True, False]


def test_of_two_max_candidates_neither_is_an_end():
    lattice = replace(LATTICE, max_candidates=(20, 40))
    hmean = np.full((19, 2, 2, 19), 0.5)
    hmean[9, 0, 1, 9] = 0.9
    assert choose([landscape(hmean, lattice=lattice)], "best").at_bounds == ()


def test_the_largest_max_candidates_is_an_end():
    lattice = replace(LATTICE, max_candidates=(10, 20, 40))
    for taken, flagged in ((0, ()), (1, ()), (2, ("max_candidates",))):
        hmean = np.full((19, 2, 3, 19), 0.5)
        hmean[9, 0, taken, 9] = 0.9
        assert choose([landscape(hmean, lattice=lattice)], "best").at_bounds == flagged


def test_a_top_near_an_end_is_not_drawn_to_it():
    """Judged by its inner side alone, the end would do as well as the top."""
    fine = replace(LATTICE, thresh=tuple(round(0.05 + 0.005 * step, 3) for step in range(181)))
    peak = 1 - np.abs(np.array(fine.thresh) - 0.1)
    hmean = np.broadcast_to(peak[:, None, None, None], (181, 2, 1, 19)).copy()
    assert choose([landscape(hmean, lattice=fine)], "robust").thresholds.thresh == pytest.approx(
        0.1, abs=0.02
    )


def test_a_choice_within_a_step_of_an_end_is_flagged():
    hmean = np.full(AXES, 0.5)
    hmean[1, 0, 0, 9] = 0.9
    assert choose([landscape(hmean)], "best").at_bounds == ("thresh",)
    hmean[2, 0, 0, 18] = 0.95
    assert choose([landscape(hmean)], "best").at_bounds == ("box_thresh",)
    hmean[2, 0, 0, 9] = 0.97
    assert choose([landscape(hmean)], "best").at_bounds == ()


@pytest.mark.parametrize(
    ("n_values", "flagged"), [(1, []), (2, []), (3, [0, 2]), (4, [0, 3]), (5, [0, 1, 3, 4])]
)
def test_ends_of_short_axes(n_values, flagged):
    lattice = replace(LATTICE, thresh=LATTICE.thresh[3 : 3 + n_values])
    found = []
    for k in range(n_values):
        hmean = np.full((n_values, 2, 1, 19), 0.5)
        hmean[k, 0, 0, 9] = 0.9
        if choose([landscape(hmean, lattice=lattice)], "best").at_bounds == ("thresh",):
            found.append(k)
    assert found == flagged


def test_crossfit_by_hand():
    # Each image likes a point of its own (1.0); all like the last one (.6). Without one its own point is
    # no better than nothing for the others, and some other image's point scores 0 on it.
    lattice = SweepLattice((0.1, 0.2, 0.3, 0.4, 0.5, 0.6), (0.5,), (1.5,), (1000,), False, 3.0)
    parts = np.zeros((6, 1, 1, 1, 5))
    for image in range(5):
        parts[image, 0, 0, 0, image] = 1.0
    parts[5] = 0.6
    drawn = landscape(parts.mean(axis=-1), parts=parts, lattice=lattice)
    assert crossfit([drawn], "best") == pytest.approx(0.6)
    chosen = crossfit_thresholds([drawn], "best")
    assert {part: thresholds.thresh for part, thresholds in chosen.items()} == dict.fromkeys(range(5), 0.6)
    parts[5] = 0.15  # on four images .15 is worse than the 1/4 of any image's own point
    drawn = landscape(parts.mean(axis=-1), parts=parts, lattice=lattice)
    assert crossfit([drawn], "best") == pytest.approx(0.0)
    chosen = crossfit_thresholds([drawn], "best")
    assert [chosen[part].thresh for part in range(5)] == [0.2, 0.1, 0.1, 0.1, 0.1]


def test_crossfit_needs_two_parts():
    drawn = replace(landscape(plateau_and_spike()), part_sizes=np.array([5, 0, 0, 0, 0]))
    assert crossfit([drawn], "best") is None
    assert crossfit_thresholds([drawn], "best") is None
