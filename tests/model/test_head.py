"""The head: shapes, the binary map's formula, precision, initial values."""

import math

import pytest
import torch

from optdet.model.head import DBHead


def _features(side: int = 8) -> torch.Tensor:
    return torch.randn(2, 32, side, side, generator=torch.Generator().manual_seed(1))


def test_maps_are_four_times_as_large() -> None:
    output = DBHead(32)(_features())
    assert [tuple(m.shape) for m in output] == [(2, 32, 32)] * 4


def test_the_approximate_binary_map() -> None:
    output = DBHead(32, k=50.0).eval()(_features())
    expected = 1.0 / (1.0 + torch.exp(-50.0 * (output.prob_map - output.thresh_map).double()))
    torch.testing.assert_close(output.binary_map.double(), expected, atol=1e-5, rtol=0.0)
    torch.testing.assert_close(output.prob_map, torch.sigmoid(output.prob_logits))


def test_prob_maps_are_the_prob_map_of_the_full_output() -> None:
    head = DBHead(32).eval()
    assert torch.equal(head.prob_maps(_features()), head(_features()).prob_map)


def test_without_the_threshold_branch() -> None:
    head = DBHead(32, thresh_branch=False)
    output = head(_features())
    assert output.thresh_map is None
    assert output.binary_map is None
    assert not [name for name in head.state_dict() if name.startswith("thresh")]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_maps_are_float32_under_autocast(dtype: torch.dtype) -> None:
    head = DBHead(32).eval()
    with torch.autocast("cpu", dtype=dtype):
        output = head(_features())
    assert {m.dtype for m in output} == {torch.float32}
    # More than half precision can say: the sigmoid itself was not taken in it.
    assert not torch.equal(output.prob_map, output.prob_map.to(dtype).float())
    torch.testing.assert_close(output.prob_map, head(_features()).prob_map, atol=0.05, rtol=0.0)


def test_initial_logits_do_not_saturate() -> None:
    torch.manual_seed(0)
    logits = DBHead(256)(torch.randn(2, 256, 16, 16)).prob_logits
    # Quiet, at the log odds of one pixel in four: see the initialisation for what noise costs here.
    assert float(logits.detach().std()) < 0.2
    assert abs(float(logits.detach().mean()) + math.log(3)) < 0.1


def test_initial_batch_norms() -> None:
    head = DBHead(32)
    for branch in (head.binarize, head.thresh):
        for index in (1, 4):
            assert torch.all(branch[index].weight == 1.0)
            torch.testing.assert_close(branch[index].bias, torch.zeros_like(branch[index].bias))


def test_parameter_names_are_those_of_db_checkpoints() -> None:
    weights = [name for name, _ in DBHead(32).named_parameters()]
    expected = [
        "0.weight",
        "1.weight",
        "1.bias",
        "3.weight",
        "3.bias",
        "4.weight",
        "4.bias",
        "6.weight",
        "6.bias",
    ]
    assert weights == [f"{branch}.{name}" for branch in ("binarize", "thresh") for name in expected]
