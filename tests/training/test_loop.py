"""One epoch: accumulation, clipping, the schedule, what is logged, and a loss that is no number."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from optdet.config import Config
from optdet.config_io import set_dotted
from optdet.data.dataset import Batch, EpochSampler, PackedTargets, TrainingSet, training_loader
from optdet.data.sets import DataSets
from optdet.detection.targets import build_targets
from optdet.errors import TrialFailed
from optdet.inference.detector import Detector, Normalizer, new_model
from optdet.inference.preprocessing import Preprocessing
from optdet.model.head import DBOutput
from optdet.model.losses import Targets
from optdet.training.averaging import AveragedModel
from optdet.training.loop import EpochLosses, TrainingState, train_epoch, validation_scorers
from optdet.training.optimizer import learning_rate
from optdet.training.run import set_up

CPU = torch.device("cpu")
SIZE = 32


class PlainNet(nn.Module):
    """Two convolutions in place of a DBNet: without batch norm, gradients of batches simply add up."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.hidden = nn.Conv2d(3, 4, 3, padding=1)
        self.maps = nn.Conv2d(4, 2, 1)

    def forward(self, images: torch.Tensor) -> DBOutput:
        logits, thresh = self.maps(torch.tanh(self.hidden(images))).unbind(1)
        prob_map, thresh_map = torch.sigmoid(logits), torch.sigmoid(thresh)
        return DBOutput(logits, prob_map, thresh_map, torch.sigmoid(50 * (prob_map - thresh_map)))


def batch_of(*seeds: int) -> Batch:
    """Images of noise, each with one word."""
    images, targets = [], []
    for seed in seeds:
        images.append(np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8))
        word = np.array([[2.0, 4], [28, 4], [28, 16], [2, 16]]) + np.array([0, seed % 3])
        maps = build_targets([word], [False], SIZE)
        targets.append(PackedTargets.of(maps))
    return Batch(
        torch.from_numpy(np.stack(images)),
        PackedTargets(*map(torch.stack, zip(*targets, strict=True))),
        torch.tensor([seed % 2 for seed in seeds]),
    )


def config_with(**settings: Any) -> Config:
    tree: dict[str, Any] = {"scheduler": {"name": "constant"}, "optimizer": {"lr": 0.1}}
    for name, value in settings.items():
        tree = set_dotted(tree, name.replace("__", "."), value)
    return Config.model_validate(tree)


def sgd_state(model: nn.Module, *, average: bool = False) -> TrainingState:
    """Plain gradient descent, whose steps are the gradients."""
    return TrainingState(
        model=model,  # type: ignore[arg-type]
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        average=AveragedModel(model, 0.9) if average else None,  # type: ignore[arg-type]
    )


def train(state: TrainingState, batches: list[Batch], config: Config, **more: Any) -> EpochLosses:
    normalize = Normalizer(Preprocessing.of(config), CPU)
    loader: Any = batches
    settings = {"epoch": 1, "accumulate": config.train.accumulate, "device": CPU, "dtype": None, **more}
    return train_epoch(state, loader, config, normalize=normalize, **settings)


def weights(model: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone()


def trained(batches: list[Batch], **settings: Any) -> torch.Tensor:
    model = PlainNet()
    train(sgd_state(model), batches, config_with(**settings))
    return weights(model)


# --- by source ---------------------------------------------------------------------------------------------


def test_losses_by_source_are_those_of_their_images_and_change_nothing_else() -> None:
    batches = [batch_of(1, 2, 3), batch_of(4, 5)]
    config = config_with(optimizer__lr=1e-9)
    one, several = sgd_state(PlainNet()), sgd_state(PlainNet())
    whole, apart = train(one, batches, config), train(several, batches, config, n_sources=3)
    assert (apart.total, apart.prob, apart.binary) == (whole.total, whole.prob, whole.binary)
    assert torch.equal(weights(one.model), weights(several.model))
    assert (whole.source_images, whole.source_sums) == ((), ())
    assert apart.source_images == (2, 3, 0)
    alone = [train(sgd_state(PlainNet()), [batch_of(seed)], config).total for seed in range(1, 6)]
    expected = (alone[1] + alone[3], alone[0] + alone[2] + alone[4], 0.0)
    assert apart.source_sums == pytest.approx(expected, rel=1e-4)


def test_losses_by_source_are_fetched_once_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU each fetch would wait for the device."""
    fetched = []
    to_list = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: fetched.append(self.shape) or to_list(self))
    monkeypatch.setattr(torch.Tensor, "item", lambda self: pytest.fail("fetched a number"))
    train(sgd_state(PlainNet()), [batch_of(1, 2)] * 3, config_with(train__clip_norm=0), n_sources=2)
    assert len(fetched) == 2


# --- updates -----------------------------------------------------------------------------------------------


def test_two_accumulated_batches_are_one_of_twice_the_size() -> None:
    """Equal halves, since hard negatives are chosen batch by batch."""
    start = weights(PlainNet())
    halves = trained([batch_of(1, 2), batch_of(1, 2)], train__accumulate=2)
    whole = trained([batch_of(1, 2, 1, 2)])
    torch.testing.assert_close(halves, whole, atol=1e-5, rtol=1e-4)
    assert (whole - start).abs().max() > 1e-2
    apart = trained([batch_of(1, 2), batch_of(1, 2)])
    assert (apart - whole).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("n_batches", "accumulate", "n_updates"), [(3, 1, 3), (4, 2, 2), (5, 2, 3), (2, 8, 1)]
)
def test_what_is_left_at_the_end_is_an_update_too(n_batches: int, accumulate: int, n_updates: int) -> None:
    state = sgd_state(PlainNet(), average=True)
    train(state, [batch_of(i) for i in range(n_batches)], config_with(train__accumulate=accumulate))
    assert state.average is not None
    assert state.average.n_updates == n_updates
    assert all(parameter.grad is None for parameter in state.model.parameters())


def test_an_update_of_fewer_batches_is_their_mean_too() -> None:
    start = weights(PlainNet())
    alone = trained([batch_of(1)], train__accumulate=8)
    torch.testing.assert_close(alone, trained([batch_of(1)]))
    assert (alone - start).abs().max() > 1e-2


def test_gradients_are_clipped_by_their_norm() -> None:
    start = weights(PlainNet())
    free = trained([batch_of(1)], train__clip_norm=0)
    clipped = trained([batch_of(1)], train__clip_norm=0.5)
    gradient = (start - free) / 0.1
    assert gradient.norm() > 1
    torch.testing.assert_close(
        (start - clipped) / 0.1, gradient * (0.5 / gradient.norm()), rtol=1e-3, atol=1e-5
    )
    loose = trained([batch_of(1)], train__clip_norm=1e6)
    torch.testing.assert_close(loose, free)


def test_the_average_follows_each_update() -> None:
    model = PlainNet()
    state = sgd_state(model, average=True)
    start = weights(model)
    train(state, [batch_of(1)], config_with())
    assert state.average is not None
    torch.testing.assert_close(weights(state.average.model), start + (weights(model) - start) * (1 - 2 / 11))


def test_the_rate_follows_the_schedule_batch_by_batch() -> None:
    config = config_with(
        scheduler__name="cosine", scheduler__t_max=4, scheduler__warmup_epochs=1.0, train__epochs=5
    )
    state = sgd_state(PlainNet())
    rates: list[float] = []
    losses = None
    for epoch in (1, 2, 5):
        losses = train(
            state,
            [batch_of(1)] * 2,
            config,
            epoch=epoch,
            on_batch=lambda *_: rates.append(state.optimizer.param_groups[0]["lr"]),
        )
    progress = (0, 0.5, 1, 1.5, 4, 4.5)
    assert rates == [learning_rate(config.scheduler, 0.1, at, 5) for at in progress]
    assert rates[4:] == [config.scheduler.eta_min] * 2
    assert losses is not None
    assert losses.lr == rates[-1]


def test_a_model_that_was_validated_is_trained_on_in_training_mode() -> None:
    state = sgd_state(PlainNet())
    state.model.eval()
    train(state, [batch_of(1)], config_with())
    assert state.model.training


# --- what is told ------------------------------------------------------------------------------------------


def test_losses_are_means_over_the_batches() -> None:
    told: list[tuple[int, int, float | None]] = []
    losses = train(
        sgd_state(PlainNet()),
        [batch_of(1, 2), batch_of(3)],
        config_with(),
        on_batch=lambda *values: told.append(values),
    )
    assert [values[:2] for values in told] == [(1, 2), (2, 2)]
    assert losses.total == pytest.approx(np.mean([values[2] for values in told]))
    assert losses.total == pytest.approx(5 * losses.prob + 10 * losses.thresh + losses.binary, rel=1e-5)
    assert losses.n_images == 3
    assert losses.seconds > 0


def test_without_the_threshold_branch_its_losses_are_zero(config: Config) -> None:
    bare = Config.model_validate(set_dotted(config.model_dump(), "model.thresh_branch", False))
    model = new_model(bare, for_training=True)
    losses = train(sgd_state(model), [batch_of(1, 2)], config_with())
    assert (losses.thresh, losses.binary) == (0, 0)
    assert losses.total == pytest.approx(5 * losses.prob)


def test_a_loss_is_fetched_a_few_times_an_epoch() -> None:
    told: list[tuple[int, float | None]] = []
    train(
        sgd_state(PlainNet()),
        [batch_of(1)] * 9,
        config_with(),
        on_batch=lambda done, n_batches, loss: told.append((done, loss)),
    )
    assert [done for done, _ in told] == list(range(1, 10))
    assert [done for done, loss in told if loss is not None] == [2, 4, 6, 8, 9]


# --- a loss that is no number ------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("position", [0, 1, 8])
@pytest.mark.parametrize("is_heard", [True, False])
def test_a_loss_that_is_no_number_fails_the_trial(bad: float, position: int, is_heard: bool) -> None:
    broken = batch_of(1)

    class Spoilt(PackedTargets):
        def unpacked(self, **bounds: float) -> Targets:
            whole = super().unpacked(**bounds)
            return whole._replace(thresh_map=torch.full_like(whole.thresh_map, bad))

    batches = [batch_of(1)] * 9
    batches[position] = broken._replace(targets=Spoilt(*broken.targets))
    with pytest.raises(TrialFailed, match=r"the loss became (nan|inf) in epoch 3: try a lower optimizer"):
        train(
            sgd_state(PlainNet()),
            batches,
            config_with(),
            epoch=3,
            on_batch=(lambda *_: None) if is_heard else None,
        )


def test_weights_that_are_no_numbers_end_the_epoch_early() -> None:
    state = sgd_state(PlainNet())
    told: list[int] = []

    def spoil(done: int, *_: object) -> None:
        told.append(done)
        with torch.no_grad():
            next(state.model.parameters()).fill_(math.nan)

    with pytest.raises(TrialFailed, match="the loss became nan in epoch 1"):
        train(state, [batch_of(1)] * 40, config_with(), on_batch=spoil)
    assert told == list(range(1, 10))


# --- validation --------------------------------------------------------------------------------------------


def test_validation_holds_each_images_map_and_words(config: Config, sets: DataSets) -> None:
    torch.manual_seed(0)
    detector = Detector(new_model(config, for_training=False), Preprocessing.of(config), CPU)
    scorers = list(validation_scorers(detector, sets.val, 1))
    assert [scorer.name for scorer in scorers] == [sample.name for sample in sets.val.samples]
    for index, scorer in enumerate(scorers):
        np.testing.assert_array_equal(
            scorer.detector.prob_map, detector.prob_map(sets.val.canvases[index]).astype(np.float32)
        )
        assert scorer.detector.letterbox == sets.val.letterboxes[index]
    gt = sets.val.samples[0].words
    assert scorers[0].truth.cleval([word.polygon for word in gt], "competition").hmean > 0.99


class Counted:
    """The same batch three times, and how many steps were gone on from."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self.n_steps = 0

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[Batch]:
        for _ in range(3):
            yield self._batch
            self.n_steps += 1


def test_a_step_reads_nothing_back_from_its_device(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On torch's ``meta`` device, whose tensors have shapes and no values, so that a step which would have
    to wait for one raises: as the last line of an epoch does, which asks for the mean losses.
    """
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: nullcontext())  # it knows no such device
    settings = config.model_dump(mode="json")
    settings["train"] |= {"ema_decay": 0.9, "clip_norm": 1.0}
    config, nowhere = Config.model_validate(settings), torch.device("meta")
    run = set_up(config, tmp_path, nowhere, n_epochs=1)
    assert run.state.average is not None
    batches = Counted(batch_of(1, 2))
    with pytest.raises(NotImplementedError, match="no data"):
        train_epoch(
            run.state,
            batches,  # type: ignore[arg-type]
            config,
            epoch=1,
            accumulate=1,
            normalize=Normalizer(Preprocessing.of(config), nowhere),
            device=nowhere,
            dtype=None,
            n_sources=2,
        )
    assert batches.n_steps == 3


class Watched:
    """Pinned batches, between which the host must wait for nothing: torch raises where it does."""

    def __init__(self, batches: list[Batch]) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        for index, batch in enumerate(self._batches):
            if index == 1:  # the first step allocates, and chooses its kernels
                torch.cuda.set_sync_debug_mode("error")
            yield batch
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
def test_a_step_on_a_card_waits_for_nothing(config: Config, sets: DataSets, tmp_path: Path) -> None:
    card = torch.device("cuda", 0)
    run = set_up(config, tmp_path, card, n_epochs=1)
    if run.dtype != torch.bfloat16:
        pytest.skip("float16's scaler looks for infinities on the host")
    loader = training_loader(
        TrainingSet(sets.train, config.augment, config.target, seed=0),
        EpochSampler(sets.train.parts, 0),
        batch_size=1,
        workers=0,
        pin_memory=True,
    )
    try:
        losses = train_epoch(
            run.state,
            Watched(list(loader)),  # type: ignore[arg-type]
            config,
            epoch=1,
            accumulate=1,
            normalize=Normalizer(Preprocessing.of(config), card),
            device=card,
            dtype=run.dtype,
        )
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert losses.n_images == len(sets.train) > 1


@pytest.mark.gpu
def test_batched_maps_come_in_order_and_are_nearly_those_of_single_images(
    config: Config, sets: DataSets
) -> None:
    card = torch.device("cuda", torch.cuda.device_count() - 1)  # torch's current one is the first
    torch.manual_seed(0)
    model = new_model(config, for_training=False).to(card, memory_format=torch.channels_last)  # type: ignore[call-overload]
    detector = Detector(model, Preprocessing.of(config), card)
    canvases = [sets.val.canvases[index] for index in range(len(sets.val))]
    for size in (1, 2, len(canvases) + 1):
        maps = list(detector.batched_maps(canvases, size))
        assert len(maps) == len(canvases)
        for prob_map, canvas in zip(maps, canvases, strict=True):
            np.testing.assert_allclose(prob_map, detector.prob_map(canvas), atol=0.02)
