"""A card too small for the batch, loader processes that the system ends: no epoch is lost, and it is said.

Without a GPU the model itself refuses a batch that is too large, with torch's own error, where a card would.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from optdet.config import Config
from optdet.data.sets import DataSets, ImageSet
from optdet.errors import TrialFailed
from optdet.evaluation.scorer import ImageScorer
from optdet.inference.detector import Detector
from optdet.model.checkpoint_file import load_checkpoint
from optdet.model.dbnet import DBNet
from optdet.training import fit as fit_module
from optdet.training.callbacks import FitCallbacks
from optdet.training.fit import FitResult, fit
from optdet.training.history import EpochRecord
from optdet.training.memory import is_out_of_memory
from optdet.training.recovery import Batching, LoaderDeaths, LoaderDied

CPU = torch.device("cpu")


class Stop(Exception):
    """Ends a run at the end of an epoch, as a kill would."""


@dataclass
class Log:
    said: list[str] = field(default_factory=list)
    smaller: list[Batching] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    stop_after: int | None = None
    on_batch: Callable[[int, int], None] | None = None

    def callbacks(self) -> FitCallbacks:
        return FitCallbacks(
            on_epoch_end=self._epoch,
            on_batch=self._batch,
            on_smaller_batch=self.smaller.append,
            say=self.said.append,
        )

    def _epoch(self, record: EpochRecord) -> None:
        if record.epoch == self.stop_after:
            raise Stop

    def _batch(self, done: int, n_batches: int, _loss: float | None) -> None:
        self.batches.append(n_batches)
        if self.on_batch is not None:
            self.on_batch(done, n_batches)


def batched(config: Config, batch_size: int, accumulate: int, **data: Any) -> Config:
    train = config.train.model_copy(update={"batch_size": batch_size, "accumulate": accumulate})
    return config.model_copy(update={"train": train, "data": config.data.model_copy(update=data)})


def outcome(result: FitResult) -> tuple[Any, ...]:
    """What a run comes to, without its times."""
    best = load_checkpoint(result.best.path)
    weights = torch.cat([value.flatten().double() for value in best["model"].values()])
    history = [record.reproducible() for record in result.history]
    return history, best["epoch"], best["thresholds"], weights.tolist()


FULL = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
NO_WORKSPACE = RuntimeError("GET was unable to find an engine to execute this computation")


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``card(n)``: from now on n images of a batch fit."""
    forward = DBNet.forward

    def holds(n_images: int, error: RuntimeError = FULL) -> None:
        def limited(model: DBNet, images: torch.Tensor) -> Any:
            if model.training and len(images) > n_images:
                raise error
            return forward(model, images)

        monkeypatch.setattr(DBNet, "forward", limited)

    return holds


@pytest.mark.parametrize("error", [FULL, NO_WORKSPACE])
def test_a_full_card_halves_the_batch_and_doubles_the_steps_of_an_update(
    config: Config, sets: DataSets, tmp_path: Path, card: Callable[..., None], error: RuntimeError
) -> None:
    """The run is that which would have been asked for with such batches, to the last bit."""
    expected = fit(batched(config, 1, 4), sets, tmp_path / "asked", device=CPU)
    card(1, error)
    log = Log()
    result = fit(batched(config, 4, 1), sets, tmp_path / "met", device=CPU, callbacks=log.callbacks())
    assert outcome(result) == outcome(expected)
    assert log.smaller == [Batching(2, 2), Batching(1, 4)]
    assert log.said == [
        "out of GPU memory with 4 images of 64 pixels a batch; going on with 2, 2 batches an update",
        "out of GPU memory with 2 images of 64 pixels a batch; going on with 1, 4 batches an update",
    ]


@pytest.mark.parametrize(
    ("batch_size", "accumulate", "expected"),
    [
        (4, 1, Batching(2, 2)),
        (3, 1, Batching(1, 3)),
        (6, 1, Batching(3, 2)),
        (7, 2, Batching(2, 7)),
        (15, 1, Batching(5, 3)),
        (1, 4, None),
    ],
)
def test_a_smaller_batch_keeps_the_images_of_an_update(
    batch_size: int, accumulate: int, expected: Batching | None
) -> None:
    assert Batching(batch_size, accumulate).halved() == expected


def test_a_smaller_batch_has_what_the_network_needs() -> None:
    assert Batching(4, 1).halved(2) == Batching(2, 2)
    assert Batching(2, 2).halved(2) is None
    assert Batching(9, 1).halved(2) == Batching(3, 3)
    assert Batching(3, 1).halved(2) is None


@pytest.mark.parametrize(
    ("error", "is_full"),
    [
        (FULL, True),
        (NO_WORKSPACE, True),
        (torch.AcceleratorError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (torch.AcceleratorError("CUDA error: an illegal memory access was encountered"), False),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_which_errors_say_that_a_card_is_full(error: RuntimeError, is_full: bool) -> None:
    assert is_out_of_memory(error) == is_full


def test_a_card_that_fills_up_in_the_midst_costs_its_epoch_alone(
    config: Config, sets: DataSets, tmp_path: Path, card: Callable[[int], None]
) -> None:
    """As where another program takes memory of it; what goes on after a kill keeps the smaller batch."""
    log = Log(stop_after=2, on_batch=lambda done, n: card(1) if len(log.batches) == 3 else None)
    with pytest.raises(Stop):
        fit(config, sets, tmp_path, device=CPU, callbacks=log.callbacks())
    assert log.batches == [2, 2, 2, 4, 4, 4, 4]  # two of the first epoch, one that was broken off
    assert log.said == [
        "out of GPU memory with 2 images of 64 pixels a batch; going on with 1, 2 batches an update",
        "going on after epoch 1 of 3",
    ]
    card(99)
    again = Log()
    result = fit(config, sets, tmp_path, device=CPU, callbacks=again.callbacks())
    assert again.batches == [4] * 4
    assert [record.epoch for record in result.history] == [1, 2, 3]


def test_a_card_too_small_for_one_image_fails_the_trial(
    config: Config, sets: DataSets, tmp_path: Path, card: Callable[[int], None]
) -> None:
    card(0)
    with pytest.raises(TrialFailed, match=r"out of GPU memory with 1 image of 64 pixels: lower data\.size"):
        fit(config, sets, tmp_path / "full", device=CPU)
    card(0, NO_WORKSPACE)  # of one image it may say something else, too
    with pytest.raises(
        TrialFailed, match=r"with 1 image of 64 pixels \(GET was unable .* computation\): lower"
    ):
        fit(config, sets, tmp_path / "no workspace", device=CPU)


@pytest.mark.parametrize("n_fit", [1, 0])
def test_a_card_too_small_to_validate_takes_smaller_batches_too(
    config: Config, sets: DataSets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_fit: int
) -> None:
    """On a card an epoch is judged in batches of training's size."""
    validated = fit_module.validation_scorers

    def limited(detector: Detector, images: ImageSet, batch_size: int) -> Iterator[ImageScorer]:
        if batch_size > n_fit:
            raise FULL
        return validated(detector, images, batch_size)

    monkeypatch.setattr(fit_module, "validation_scorers", limited)
    log = Log()
    if n_fit == 0:
        with pytest.raises(
            TrialFailed, match=r"out of GPU memory with 1 image of 64 pixels: lower data\.size"
        ):
            fit(config, sets, tmp_path, device=CPU, callbacks=log.callbacks())
    else:
        assert len(fit(config, sets, tmp_path, device=CPU, callbacks=log.callbacks()).history) == 3
    assert log.smaller == [Batching(1, 2)]


def test_a_network_that_cannot_learn_from_one_image_never_gets_one_alone(
    config: Config, sets: DataSets, tmp_path: Path
) -> None:
    """One with a batch norm behind a global pooling: four images in batches of three."""
    network = config.model_copy(update={"model": config.model.model_copy(update={"backbone": "skresnet18"})})
    assert len(fit(batched(network, 3, 1), sets, tmp_path / "three", device=CPU).history) == 3
    with pytest.raises(
        TrialFailed, match=r"skresnet18 cannot be trained on one image .* train\.batch_size=2"
    ):
        fit(batched(network, 1, 1), sets, tmp_path / "one", device=CPU)


@pytest.mark.gpu
def test_a_real_card_that_is_full(config: Config, sets: DataSets, tmp_path: Path) -> None:
    card = torch.device("cuda", 0)
    large = batched(config, 4, 1)
    probe = Log(stop_after=1)
    torch.cuda.reset_peak_memory_stats(card)
    with pytest.raises(Stop):
        fit(batched(config, 2, 2), sets, tmp_path / "probe", device=card, callbacks=probe.callbacks())
    enough = 1.1 * torch.cuda.max_memory_reserved(card)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(
        enough / torch.cuda.get_device_properties(card).total_memory, card
    )
    log = Log()
    try:
        fit(large, sets, tmp_path / "met", device=card, callbacks=log.callbacks())
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, card)
    assert log.smaller, "all four images fitted: the test shows nothing"


@pytest.mark.slow
def test_a_loader_process_that_is_killed_costs_its_epoch_alone(
    config: Config, sets: DataSets, tmp_path: Path
) -> None:
    settings = batched(config, 2, 1, workers=1)
    expected = fit(settings, sets, tmp_path / "whole", device=CPU)
    killed: list[int] = []

    def kill(done: int, n_batches: int) -> None:
        if len(log.batches) == 3 and not killed:  # the second epoch has begun
            for child in multiprocessing.active_children():
                killed.append(child.pid or 0)
                os.kill(killed[-1], signal.SIGKILL)
                child.join(10)

    log = Log(on_batch=kill)
    result = fit(settings, sets, tmp_path / "killed", device=CPU, callbacks=log.callbacks())
    assert killed
    assert outcome(result) == outcome(expected)
    assert log.said[0].startswith("a process that loads images was ended (DataLoader worker (pid")
    assert log.said[0].endswith("); epoch 2 again")
    assert log.said[1:] == ["going on after epoch 1 of 3"]


def test_loader_processes_that_die_again_and_again_fail_the_trial(
    config: Config, sets: DataSets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise RuntimeError("DataLoader worker (pid 4321) is killed by signal: Killed. ")

    monkeypatch.setattr("optdet.training.fit.train_epoch", die)
    log = Log()
    with pytest.raises(
        TrialFailed,
        match=r"epoch 1 lost a process that loads images 4 times \(DataLoader worker \(pid 4321\) is killed "
        r"by signal: Killed\): free memory, or lower data\.workers",
    ):
        fit(config, sets, tmp_path, device=CPU, callbacks=log.callbacks())
    assert len(log.said) == 3


def test_deaths_of_loaders_count_from_the_start_of_an_epoch() -> None:
    deaths = LoaderDeaths()
    assert [deaths.may_go_on(LoaderDied(epoch, "")) for epoch in (1, 1, 1, 2, 2, 2, 2)] == [True] * 6 + [
        False
    ]


def test_other_errors_of_a_step_are_none_of_these(
    config: Config, sets: DataSets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr("optdet.training.fit.train_epoch", fail)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        fit(config, sets, tmp_path, device=CPU)
