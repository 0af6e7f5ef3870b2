"""Both aggregations, and the JSON that is a contract."""

from __future__ import annotations

import pytest

from optdet.metrics.cleval import CLEvalCounts
from optdet.metrics.iou import IoUCounts
from optdet.metrics.scores import PRH, Aggregate, Scores, aggregate, hmean

GOOD = CLEvalCounts(10, 10, 10, 0, 0, 0)
HALF = CLEvalCounts(
    num_char_gt=100, num_char_det=50, num_char_tp=50, gran_recall=0, gran_precision=0, num_char_fp=0
)


@pytest.mark.parametrize(
    ("precision", "recall", "expected"),
    [(1, 1, 1), (0, 0, 0), (0, 1, 0), (0.5, 1, 2 / 3), (0.25, 0.75, 0.375)],
)
def test_hmean(precision, recall, expected):
    assert hmean(precision, recall) == pytest.approx(expected, abs=1e-15)


def test_macro_is_a_mean_of_each_score_by_itself():
    macro = aggregate([GOOD, HALF]).macro
    assert macro == PRH(precision=1.0, recall=0.75, hmean=pytest.approx((1 + 2 / 3) / 2))
    assert macro.hmean != pytest.approx(hmean(macro.precision, macro.recall), abs=1e-3)


def test_global_is_the_formula_on_the_sums():
    assert aggregate([GOOD, HALF]).global_ == PRH(
        1.0, 60 / 110, pytest.approx(2 * (60 / 110) / (1 + 60 / 110))
    )
    assert aggregate([IoUCounts(1, 1, 1), IoUCounts(1, 4, 2)]).global_ == PRH(
        pytest.approx(2 / 3), 0.4, pytest.approx(0.5)
    )


def test_penalties_are_taken_from_the_sums_and_cut_at_zero_only_there():
    punished = CLEvalCounts(10, 10, 1, gran_recall=3, gran_precision=3, num_char_fp=0)
    assert aggregate([GOOD, punished]).global_.recall == (11 - 3) / 20


def test_the_order_of_images_does_not_move_the_last_digit():
    counts = [CLEvalCounts(n, n + 1, n - 1, 0, 0, 0) for n in range(1, 60)]
    assert aggregate(counts) == aggregate(counts[::-1]) == aggregate(counts[30:] + counts[:30])


def test_json():
    values = {"precision": 0.1, "recall": 0.2, "hmean": 0.3}
    part = Aggregate(macro=PRH(0.1, 0.2, 0.3), global_=PRH(0.1, 0.2, 0.3))
    expected = {"macro": values, "global": values}
    assert Scores(competition=part, official=part, iou=part).as_json() == {
        "competition": expected,
        "official": expected,
        "iou": expected,
    }


def test_no_images():
    with pytest.raises(ValueError, match="no images to aggregate"):
        aggregate([])
