"""Each term against its formula in NumPy, and the cases with nothing to learn from."""

import math

import numpy as np
import pytest
import torch

from optdet.model.head import DBOutput
from optdet.model.losses import (
    DBLoss,
    Targets,
    _sum_of_largest_by_sort,
    _sum_of_largest_by_topk,
    balanced_bce,
    dice_loss,
    masked_l1,
)

SHAPE = (2, 12, 12)


def _maps(seed: int = 0) -> tuple[DBOutput, Targets]:
    rng = np.random.default_rng(seed)
    logits = torch.tensor(rng.normal(size=SHAPE, scale=2.0), dtype=torch.float32, requires_grad=True)
    thresh_logits = torch.tensor(rng.normal(size=SHAPE), dtype=torch.float32, requires_grad=True)
    prob, thresh = torch.sigmoid(logits), torch.sigmoid(thresh_logits)
    shrink = torch.tensor(rng.random(SHAPE) < 0.1, dtype=torch.float32)
    mask = torch.tensor(rng.random(SHAPE) < 0.9, dtype=torch.float32)
    thresh_target = torch.tensor(rng.uniform(0.3, 0.7, SHAPE), dtype=torch.float32)
    band = torch.tensor(rng.random(SHAPE) < 0.3, dtype=torch.float32)
    output = DBOutput(logits, prob, thresh, torch.sigmoid(50.0 * (prob - thresh)))
    return output, Targets(shrink, mask, thresh_target, band)


def _double(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().numpy().astype(np.float64)


def _bce_by_hand(logits: torch.Tensor, target: torch.Tensor, mask: torch.Tensor, ratio: float) -> float:
    p = 1.0 / (1.0 + np.exp(-_double(logits)))
    y, m = _double(target), _double(mask)
    each = -(y * np.log(p) + (1.0 - y) * np.log(1.0 - p))
    positive, negative = each[(y == 1) & (m == 1)], each[(y == 0) & (m == 1)]
    n_negative = min(len(negative), int(ratio * len(positive)))
    hardest = np.sort(negative)[::-1][:n_negative]
    return float((positive.sum() + hardest.sum()) / (len(positive) + n_negative + 1e-6))


@pytest.mark.parametrize("ratio", [0.0, 1.0, 2.5, 3.0, 1000.0])
def test_balanced_bce(ratio: float) -> None:
    output, targets = _maps()
    value = balanced_bce(
        output.prob_logits, targets.shrink_map, targets.shrink_mask, negative_ratio=ratio, eps=1e-6
    )
    expected = _bce_by_hand(output.prob_logits, targets.shrink_map, targets.shrink_mask, ratio)
    assert float(value.detach()) == pytest.approx(expected, rel=1e-5)


def test_exactly_three_background_pixels_for_one_of_text() -> None:
    output, targets = _maps()
    balanced_bce(
        output.prob_logits, targets.shrink_map, targets.shrink_mask, negative_ratio=3.0, eps=1e-6
    ).backward()
    taught = output.prob_logits.grad != 0
    text = (targets.shrink_map * targets.shrink_mask).bool()
    background = ((1 - targets.shrink_map) * targets.shrink_mask).bool()
    assert int((taught & text).sum()) == int(text.sum()) > 0
    assert int((taught & background).sum()) == 3 * int(text.sum())
    assert int((taught & ~targets.shrink_mask.bool()).sum()) == 0
    logits = output.prob_logits.detach()
    hardest, others = logits[taught & background], logits[~taught & background]
    assert float(hardest.min()) >= float(others.max())


def test_masked_l1() -> None:
    output, targets = _maps()
    value = masked_l1(output.thresh_map, targets.thresh_map, targets.thresh_mask, eps=1e-6)
    error = np.abs(_double(output.thresh_map) - _double(targets.thresh_map))
    expected = error[_double(targets.thresh_mask) == 1].mean()
    assert float(value.detach()) == pytest.approx(expected, rel=1e-5)


def test_dice() -> None:
    output, targets = _maps()
    value = dice_loss(output.binary_map, targets.shrink_map, targets.shrink_mask, eps=1e-6)
    v, t, m = (_double(x) for x in (output.binary_map, targets.shrink_map, targets.shrink_mask))
    expected = 1.0 - 2.0 * (v * t * m).sum() / ((v * m).sum() + (t * m).sum())
    assert float(value.detach()) == pytest.approx(expected, rel=1e-5)


def test_the_total_is_the_weighted_sum_of_the_terms() -> None:
    terms = DBLoss()(*_maps())
    expected = 5.0 * terms.prob + 10.0 * terms.thresh + 1.0 * terms.binary
    torch.testing.assert_close(terms.total.detach(), expected)
    other = DBLoss(prob_weight=1.0, thresh_weight=0.0, binary_weight=2.0)(*_maps())
    torch.testing.assert_close(other.total.detach(), terms.prob + 2.0 * terms.binary)


def test_the_loss_of_each_image_is_that_of_a_batch_of_it_alone() -> None:
    output, targets = _maps()
    each = DBLoss().of_each(output, targets)
    assert not each.requires_grad
    for index in range(SHAPE[0]):
        own = slice(index, index + 1)
        alone = DBLoss()(DBOutput(*(part[own] for part in output)), Targets(*(part[own] for part in targets)))
        torch.testing.assert_close(each[index], alone.total.detach())
    bare = DBLoss().of_each(output._replace(thresh_map=None, binary_map=None), targets)
    assert bare.shape == each.shape
    assert bool((bare < each).all())


def test_terms_hold_no_graph() -> None:
    terms = DBLoss()(*_maps())
    assert [term.requires_grad for term in terms] == [True, False, False, False]


def test_without_the_threshold_branch_the_probability_term_is_all() -> None:
    output, targets = _maps()
    terms = DBLoss()(output._replace(thresh_map=None, binary_map=None), targets)
    assert float(terms.thresh) == float(terms.binary) == 0.0
    torch.testing.assert_close(terms.total.detach(), 5.0 * terms.prob)


@pytest.mark.parametrize("empty", [{"shrink_map"}, {"shrink_mask"}, {"thresh_mask"}, set(Targets._fields)])
def test_nothing_to_learn_from_is_finite(empty: set[str]) -> None:
    output, targets = _maps()
    targets = targets._replace(**{name: torch.zeros(SHAPE) for name in empty})
    output.thresh_map.retain_grad()
    terms = DBLoss()(output, targets)
    terms.total.backward()
    assert all(math.isfinite(float(term.detach())) for term in terms)
    assert bool(output.prob_logits.grad.isfinite().all())
    assert bool(output.thresh_map.grad.isfinite().all())


def test_text_everywhere_is_finite() -> None:
    output, targets = _maps()
    targets = targets._replace(shrink_map=torch.ones(SHAPE), shrink_mask=torch.ones(SHAPE))
    terms = DBLoss()(output, targets)
    assert float(terms.prob) == pytest.approx(
        _bce_by_hand(output.prob_logits, targets.shrink_map, targets.shrink_mask, 3.0), rel=1e-5
    )


def test_extreme_logits_are_finite() -> None:
    # A sigmoid in float32 is 1 exactly from a logit of 17 on: the logarithm of 1 - p would be infinite.
    _, targets = _maps()
    logits = torch.full(SHAPE, 1e4, requires_grad=True)
    loss = balanced_bce(logits, targets.shrink_map, targets.shrink_mask, negative_ratio=3.0, eps=1e-6)
    loss.backward()
    assert bool(loss.isfinite())
    assert bool(logits.grad.isfinite().all())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_terms_are_float32_under_autocast(dtype: torch.dtype) -> None:
    output, targets = _maps()
    half = DBOutput(*(m.to(dtype) for m in output))
    with torch.autocast("cpu", dtype=dtype):
        terms = DBLoss()(half, targets)
    assert {term.dtype for term in terms} == {torch.float32}
    expected = DBLoss()(DBOutput(*(m.float() for m in half)), targets)
    torch.testing.assert_close(terms.total, expected.total)


def test_targets_and_outputs_stay_as_they_are() -> None:
    output, targets = _maps()
    before = _maps()
    DBLoss()(output, targets).total.backward()
    for one, other in zip((*output, *targets), (*before[0], *before[1]), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("count", [0, 1, 7, 99, 100])
@pytest.mark.parametrize("levels", [3, 1000])
def test_sort_and_topk_pick_the_same_sum_and_as_many(count: int, levels: int) -> None:
    """``levels`` = 3 makes ties; the sort is what runs on a GPU."""
    values = np.random.default_rng(0).integers(1, levels + 1, 100).astype(np.float32)
    expected = np.sort(values)[::-1][:count].sum()
    for pick in (_sum_of_largest_by_sort, _sum_of_largest_by_topk):
        tensor = torch.tensor(values, requires_grad=True)
        total = pick(tensor, torch.tensor(count))
        total.backward()
        assert float(total.detach()) == pytest.approx(float(expected), rel=1e-6)
        assert int(tensor.grad.sum()) == count
