"""Where a model runs: names that are devices, and clear refusals of those that are not."""

from __future__ import annotations

import contextlib

import pytest
import torch

from optdet.errors import OptdetError
from optdet.inference.device import amp_dtype, autocast, choose_device


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)


@pytest.mark.parametrize(("cards", "expected"), [(0, "cpu"), (1, "cuda")], indirect=["cards"])
def test_auto_is_the_card_where_there_is_one(cards: None, expected: str) -> None:
    assert choose_device("auto") == torch.device(expected)


def test_the_cpu_is_always_there() -> None:
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("cards", [2], indirect=True)
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:1"])
def test_a_card_by_its_number(cards: None, name: str) -> None:
    assert choose_device(name) == torch.device(name)


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "meta", "hpu"])
def test_what_is_no_device(name: str) -> None:
    with pytest.raises(OptdetError, match=rf"device: '{name}' is not a device; give auto, cpu, cuda"):
        choose_device(name)


@pytest.mark.parametrize("cards", [0], indirect=True)
def test_no_card(cards: None) -> None:
    with pytest.raises(
        OptdetError, match=r"device=cuda: no CUDA device can be used here; device=auto or cpu"
    ):
        choose_device("cuda")


@pytest.mark.parametrize("cards", [2], indirect=True)
def test_a_card_too_many(cards: None) -> None:
    with pytest.raises(OptdetError, match=r"device=cuda:2: there are 2 CUDA devices"):
        choose_device("cuda:2")


@pytest.mark.parametrize(("has_bf16", "expected"), [(True, torch.bfloat16), (False, torch.float16)])
def test_half_precision_on_a_card(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool, expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: has_bf16)
    assert amp_dtype(torch.device("cuda"), True) == expected
    assert amp_dtype(torch.device("cuda"), False) is None


def test_full_precision_on_the_cpu() -> None:
    assert amp_dtype(torch.device("cpu"), True) is None
    assert isinstance(autocast(torch.device("cpu"), None), contextlib.nullcontext)


def test_autocast_computes_in_its_precision() -> None:
    with autocast(torch.device("cpu"), torch.bfloat16):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
