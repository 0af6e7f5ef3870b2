"""One compiled network for the trials of a process."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend

from optdet.config import Config
from optdet.data.sets import DataSets
from optdet.errors import TrialFailed
from optdet.inference.detector import new_model
from optdet.training import compiled_model as module
from optdet.training.compiled_model import compiled_model
from optdet.training.fit import fit

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    module._kept.clear()
    yield
    module._kept.clear()
    torch._dynamo.reset()


def model(config: Config, seed: int):
    torch.manual_seed(seed)
    return new_model(config, for_training=True)


def test_a_later_trial_gets_the_network_of_the_one_before_with_its_own_weights(config: Config) -> None:
    first = compiled_model(model(config, 1), "kind")
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(1)
    fresh = model(config, 2)
    second = compiled_model(fresh, "kind")
    assert second is first
    for name, tensor in fresh.state_dict().items():
        assert torch.equal(second.state_dict()[name], tensor), name
    assert all(parameter.grad is None and parameter.requires_grad for parameter in second.parameters())


def test_another_kind_is_compiled_anew(config: Config) -> None:
    first = compiled_model(model(config, 1), "kind")
    other = model(config, 1)
    assert compiled_model(other, "other kind") is other
    assert compiled_model(model(config, 1), "kind") is not first


def test_the_batch_sizes_of_a_search_are_all_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number of shapes torch would run the network as it is, and say nothing."""
    counter = CompileCounterWithBackend("eager")
    whole = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self, **how: whole(self, backend=counter, **how))
    network = compiled_model(nn.Conv2d(3, 4, 3), "kind")  # type: ignore[arg-type]
    for n_images in range(1, 13):
        network(torch.rand(n_images, 3, 8, 8))
    assert counter.frame_count == 12


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles for the CPU with g++")
def test_a_compiled_run_learns_as_another(config: Config, sets: DataSets, tmp_path: Path) -> None:
    plain = config.model_copy(update={"train": config.train.model_copy(update={"epochs": 2})})
    compiled = plain.model_copy(update={"train": plain.train.model_copy(update={"compile": True})})
    expected = fit(plain, sets, tmp_path / "plain", device=CPU).history
    for name in ("first", "second"):  # the second in the network that the first has left
        history = fit(compiled, sets, tmp_path / name, device=CPU).history
        for record, other in zip(history, expected, strict=True):
            assert record.loss == pytest.approx(other.loss, rel=2e-3)


# The last one: torch remembers which compiler it has found.
def test_a_compiler_that_fails_fails_the_trial_and_says_what_to_do(
    config: Config, sets: DataSets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", str(tmp_path / "no-compiler"))
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (str(tmp_path / "no-compiler"),))
    settings = config.model_copy(update={"train": config.train.model_copy(update={"compile": True})})
    with pytest.raises(TrialFailed, match=r"cannot be compiled here \(.*\): train\.compile=false"):
        fit(settings, sets, tmp_path / "run", device=CPU)
