"""The learning rate over a run, and what weight decay means to each optimizer."""

from __future__ import annotations

import copy
import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from optdet.config import OptimizerConfig, SchedulerConfig
from optdet.training.optimizer import build_optimizer, learning_rate, load_optimizer

CPU = torch.device("cpu")
BASE = 3e-4


def rate(progress: float, *, epochs: int = 22, base_lr: float = BASE, **settings: object) -> float:
    return learning_rate(SchedulerConfig.model_validate(settings), base_lr, progress, epochs)


def test_cosine_from_the_base_to_eta_min() -> None:
    settings = {"t_max": 20, "eta_min": 1e-5}
    assert rate(0, **settings) == BASE
    assert rate(10, **settings) == pytest.approx((BASE + 1e-5) / 2)
    assert rate(5, **settings) == pytest.approx(1e-5 + (BASE - 1e-5) * (1 + math.cos(math.pi / 4)) / 2)
    assert rate(20, **settings) == 1e-5


def test_the_rate_stays_at_eta_min_after_t_max() -> None:
    """PyTorch's own cosine would rise again here."""
    assert [rate(progress, t_max=18, eta_min=1e-5) for progress in (18, 18.5, 21.9, 36)] == [1e-5] * 4


def test_t_max_is_the_number_of_epochs_where_left_out() -> None:
    assert rate(10, epochs=10, eta_min=1e-5) == 1e-5
    assert rate(10, epochs=20, eta_min=1e-5) > 1e-5


def test_the_warm_up_is_linear_and_the_cosine_begins_after_it() -> None:
    settings = {"warmup_epochs": 2.0, "t_max": 12, "eta_min": 0.0}
    assert [rate(progress, **settings) for progress in (0, 0.5, 1)] == [0, BASE / 4, BASE / 2]
    assert rate(2, **settings) == BASE
    assert rate(7, **settings) == pytest.approx(BASE / 2)


def test_constant_after_the_warm_up() -> None:
    rates = [rate(p, name="constant", warmup_epochs=1.0, t_max=2) for p in (0.5, 1, 5, 30)]
    assert rates == [BASE / 2, BASE, BASE, BASE]


def test_an_eta_min_above_the_base_is_the_base() -> None:
    assert {rate(progress, base_lr=1e-6, eta_min=1e-5, t_max=10) for progress in (0, 3, 10, 12)} == {1e-6}


def test_a_t_max_within_the_warm_up_ends_it() -> None:
    settings = {"warmup_epochs": 5.0, "t_max": 3, "eta_min": 1e-5}
    assert rate(2.5, **settings) == BASE / 2
    assert [rate(progress, **settings) for progress in (3, 4, 5, 6)] == [1e-5] * 4


@given(
    warmup=st.floats(0, 6),
    t_max=st.one_of(st.none(), st.floats(0.5, 40)),
    eta_min=st.floats(0, 1e-2),
    base_lr=st.floats(1e-6, 1e-2),
    epochs=st.integers(1, 40),
)
def test_once_it_falls_the_rate_never_rises_again(
    warmup: float, t_max: float | None, eta_min: float, base_lr: float, epochs: int
) -> None:
    config = SchedulerConfig(warmup_epochs=warmup, t_max=t_max, eta_min=eta_min)
    steps = [index / 7 for index in range(7 * epochs + 1)]
    rates = [learning_rate(config, base_lr, progress, epochs) for progress in steps]
    assert all(0 <= value <= base_lr * (1 + 1e-12) for value in rates)
    after = [value for progress, value in zip(steps, rates, strict=True) if progress >= warmup]
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in itertools.pairwise(after))
    end = epochs if t_max is None else t_max
    floor = min(eta_min, base_lr)
    assert all(value == floor for progress, value in zip(steps, rates, strict=True) if progress >= end)


def one_weight(name: str, weight_decay: float, gradient: float) -> float:
    """A weight of 2 after one step at rate 0.1."""
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(layer.weight, 2.0)
    config = OptimizerConfig.model_validate({"name": name, "lr": 0.1, "weight_decay": weight_decay})
    optimizer = build_optimizer(layer, config, CPU)
    layer.weight.grad = torch.tensor([[gradient]])
    optimizer.step()
    return layer.weight.item()


def test_adam_adds_the_decay_to_the_gradient() -> None:
    """So that without another gradient the step is as long as any: Adam divides by the gradient's size."""
    assert one_weight("adam", 0.5, 0.0) == pytest.approx(2 - 0.1)
    assert one_weight("adam", 0.5, -0.25) == pytest.approx(2 - 0.1)


def test_adamw_decays_beside_the_step() -> None:
    assert one_weight("adamw", 0.5, 0.0) == pytest.approx(2 * (1 - 0.1 * 0.5))
    assert one_weight("adamw", 0.5, -0.25) == pytest.approx(2 * (1 - 0.1 * 0.5) + 0.1)


def test_without_decay_they_are_the_same() -> None:
    assert one_weight("adam", 0.0, 0.7) == one_weight("adamw", 0.0, 0.7) == pytest.approx(1.9)


def test_every_setting_reaches_the_optimizer() -> None:
    config = OptimizerConfig(name="adam", lr=0.02, weight_decay=0.03, beta1=0.8, beta2=0.95)
    (group,) = build_optimizer(torch.nn.Linear(2, 2), config, CPU).param_groups
    assert (group["lr"], group["weight_decay"], group["betas"]) == (0.02, 0.03, (0.8, 0.95))
    assert len(group["params"]) == 2
    assert not group["fused"]


def convolution(layout: torch.memory_format) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(4, 4, 3).to(memory_format=layout)  # type: ignore[call-overload]


def stepped(model: nn.Module, optimizer: torch.optim.Optimizer, n: int) -> None:
    images = torch.linspace(-1, 1, 2 * 4 * 6 * 6).view(2, 4, 6, 6)
    for _ in range(n):
        optimizer.zero_grad()
        model(images).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("to_card", [True, False])
def test_a_run_that_moves_between_card_and_cpu_steps_on_in_its_new_places_way(to_card: bool) -> None:
    """A fused step walks through weights and moments as they lie in memory, which differs between the two."""
    formats = [torch.contiguous_format, torch.channels_last]
    before, after = formats if to_card else reversed(formats)
    model = convolution(before)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=not to_card)
    stepped(model, optimizer, 3)
    moved = convolution(after)
    moved.load_state_dict(model.state_dict())
    other = torch.optim.AdamW(moved.parameters(), lr=0.01, fused=to_card)
    load_optimizer(other, copy.deepcopy(optimizer.state_dict()))
    assert other.param_groups[0]["fused"] == to_card
    assert other.state[moved.weight]["exp_avg"].stride() == moved.weight.stride()
    stepped(model, optimizer, 2)
    stepped(moved, other, 2)
    torch.testing.assert_close(moved.weight, model.weight, rtol=0, atol=1e-6)
