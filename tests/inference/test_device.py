"""Where a model runs: names that are devices, and clear refusals of those that are not."""

from __future__ import annotations

import contextlib

import pytest
import torch

from optdet.errors import OptdetError
from optdet.inference.device import amp_dtype, autocast, choose_device, is_lost


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> list[torch.device]:
    """So many there are; given are those that were made torch's current one."""
    current: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    return current


@pytest.mark.parametrize(("cards", "expected"), [(0, "cpu"), (1, "cuda")], indirect=["cards"])
def test_auto_is_the_card_where_there_is_one(cards: list[torch.device], expected: str) -> None:
    assert choose_device("auto") == torch.device(expected)
    assert cards == []


def test_the_cpu_is_always_there() -> None:
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("cards", [2], indirect=True)
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:1"])
def test_a_card_by_its_number_becomes_the_current_one(cards: list[torch.device], name: str) -> None:
    assert choose_device(name) == torch.device(name)
    assert cards == ([] if name == "cuda" else [torch.device(name)])


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "meta", "hpu"])
def test_what_is_no_device(name: str) -> None:
    with pytest.raises(OptdetError, match=rf"device: '{name}' is not a device; give auto, cpu, cuda"):
        choose_device(name)


@pytest.mark.parametrize("cards", [0], indirect=True)
def test_no_card(cards: list[torch.device]) -> None:
    with pytest.raises(
        OptdetError, match=r"device=cuda: no CUDA device can be used here; device=auto or cpu"
    ):
        choose_device("cuda")


@pytest.mark.parametrize("cards", [2], indirect=True)
def test_a_card_too_many(cards: list[torch.device]) -> None:
    with pytest.raises(OptdetError, match=r"device=cuda:2: there are 2 CUDA devices"):
        choose_device("cuda:2")
    assert cards == []


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((7, 0), torch.float16), ((7, 5), torch.float16), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16)],
)
def test_half_precision_on_a_card(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: torch.dtype
) -> None:
    """A V100, a T4, an A100, an H100; each asked itself, not the current one. Older ones emulate bfloat16
    and say that they have it, but no convolution of cuDNN takes it there."""
    asked = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)
    monkeypatch.setattr(
        torch.cuda, "get_device_capability", lambda device: asked.append(device) or capability
    )
    card = torch.device("cuda:1")
    assert amp_dtype(card, True) == expected
    assert amp_dtype(card, False) is None
    assert asked == [card]


def test_a_device_that_is_lost_is_known_by_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(torch.cuda, "synchronize", asked.append)
    card = torch.device("cuda:1")
    assert not is_lost(card)
    assert asked == [card]

    def refused(_: torch.device) -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch.cuda, "synchronize", refused)
    assert is_lost(card)
    assert not is_lost(torch.device("cpu"))


def test_full_precision_on_the_cpu() -> None:
    assert amp_dtype(torch.device("cpu"), True) is None
    assert isinstance(autocast(torch.device("cpu"), None), contextlib.nullcontext)


def test_autocast_computes_in_its_precision() -> None:
    with autocast(torch.device("cpu"), torch.bfloat16):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
