"""The moving average of a model's weights."""

from __future__ import annotations

import copy

import pytest
import torch

from optdet.config import Config
from optdet.inference.detector import new_model
from optdet.model.dbnet import DBNet
from optdet.training.averaging import AveragedModel


@pytest.fixture
def model(config: Config) -> DBNet:
    torch.manual_seed(0)
    return new_model(config, for_training=False)


def shift(model: DBNet, by: float) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(by)


def test_it_starts_as_a_copy_that_is_not_trained(model: DBNet) -> None:
    average = AveragedModel(model, 0.9)
    for own, other in zip(average.model.parameters(), model.parameters(), strict=True):
        assert torch.equal(own, other)
        assert own is not other
        assert not own.requires_grad
        assert other.requires_grad
    assert not average.model.training
    shift(model, 1.0)
    assert not torch.equal(next(average.model.parameters()), next(model.parameters()))


def test_the_formula(model: DBNet) -> None:
    average = AveragedModel(model, 0.3)
    expected = [parameter.detach().double() for parameter in model.parameters()]
    for n_updates in range(1, 7):
        shift(model, 0.5)
        average.update(model)
        decay = min(0.3, (1 + n_updates) / (10 + n_updates))
        expected = [
            decay * own + (1 - decay) * parameter.detach().double()
            for own, parameter in zip(expected, model.parameters(), strict=True)
        ]
        for own, wanted in zip(average.model.parameters(), expected, strict=True):
            torch.testing.assert_close(own.double(), wanted, atol=1e-5, rtol=1e-5)
    assert average.n_updates == 6


@pytest.mark.parametrize(("decay", "kept"), [(0.999, 2 / 11), (0.1, 0.1)])
def test_the_first_updates_keep_little_of_the_start(model: DBNet, decay: float, kept: float) -> None:
    average = AveragedModel(model, decay)
    before = next(model.parameters()).detach().clone()
    shift(model, 1.0)
    average.update(model)
    torch.testing.assert_close(next(average.model.parameters()), before + (1 - kept))


def test_buffers_are_copied_and_the_model_is_left_alone(model: DBNet) -> None:
    average = AveragedModel(model, 0.9)
    model.train()
    model(torch.randn(2, 3, 64, 64))
    before = copy.deepcopy(model.state_dict())
    average.update(model)
    for own, other in zip(average.model.buffers(), model.buffers(), strict=True):
        assert torch.equal(own, other)
        assert own is not other
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert model.training
