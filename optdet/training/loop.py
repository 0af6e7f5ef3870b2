"""One epoch of training and one of validation: the loop that everything else is built around."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader

from optdet.config import Config
from optdet.data.dataset import Batch
from optdet.data.sets import ImageSet
from optdet.detection.postprocess import MapDetector
from optdet.errors import TrialFailed
from optdet.evaluation.scorer import ImageScorer
from optdet.inference.detector import Detector, Normalizer
from optdet.inference.device import autocast
from optdet.model.dbnet import DBNet
from optdet.model.losses import DBLoss
from optdet.training.averaging import AveragedModel
from optdet.training.budget import Pace
from optdet.training.optimizer import learning_rate

OnBatch = Callable[[int, int, float | None], None]
"""Called with (batches done, batches, loss or None): the loss is fetched for a few batches only."""

_LOGS_AN_EPOCH = 4


@dataclass(slots=True)
class TrainingState:
    """Everything that a step changes."""

    model: DBNet
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    average: AveragedModel | None


@dataclass(frozen=True, slots=True)
class EpochLosses:
    """Means over the batches of an epoch, and what it took."""

    total: float
    prob: float
    thresh: float
    binary: float
    lr: float
    seconds: float
    n_images: int
    n_updates: int


def train_epoch(
    state: TrainingState,
    loader: DataLoader[Batch],
    config: Config,
    *,
    epoch: int,
    accumulate: int,
    normalize: Normalizer,
    device: torch.device,
    dtype: torch.dtype | None,
    pace: Pace | None = None,
    updates_before: int = 0,
    on_batch: OnBatch | None = None,
) -> EpochLosses:
    """Forward, backward and, every ``accumulate`` batches, update over one epoch (from 1).

    ``pace`` says where the schedule stands, by default after as many of its epochs; ``updates_before`` are
    those of the epochs before. TrialFailed when the loss is not finite.
    """
    pace = pace or Pace(config.train.epochs)
    started = time.perf_counter()
    loss_fn = DBLoss(**config.loss.model_dump())
    n_batches = len(loader)
    sums = torch.zeros(4, device=device)
    n_images, lr = 0, 0.0
    state.model.train()
    for index, batch in enumerate(loader):
        images, targets = batch.to(device)
        progress = pace.progress(epoch - 1 + index / n_batches, updates_before + index / accumulate)
        lr = learning_rate(config.scheduler, config.optimizer.lr, progress, pace.epochs)
        for group in state.optimizer.param_groups:
            group["lr"] = lr
        with autocast(device, dtype):
            output = state.model(normalize(images))
        losses = loss_fn(output, targets)
        state.scaler.scale(losses.total / accumulate).backward()  # type: ignore[no-untyped-call]
        if (index + 1) % accumulate == 0 or index + 1 == n_batches:
            _update(state, config.train.clip_norm)
        sums += torch.stack([losses.total.detach(), losses.prob, losses.thresh, losses.binary])
        n_images += len(images)
        if on_batch is not None:
            on_batch(index + 1, n_batches, _logged(losses.total, epoch, index, n_batches))
    total, prob, thresh, binary = (sums / n_batches).tolist()
    _require_finite(total, epoch)
    seconds = time.perf_counter() - started
    n_updates = -(-n_batches // accumulate)
    return EpochLosses(
        total, prob, thresh, binary, lr=lr, seconds=seconds, n_images=n_images, n_updates=n_updates
    )


def _update(state: TrainingState, clip_norm: float) -> None:
    if clip_norm > 0:
        state.scaler.unscale_(state.optimizer)
        torch.nn.utils.clip_grad_norm_(state.model.parameters(), clip_norm)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.optimizer.zero_grad(set_to_none=True)
    if state.average is not None:
        state.average.update(state.model)


def _logged(loss: torch.Tensor, epoch: int, index: int, n_batches: int) -> float | None:
    """The loss as a number a few times an epoch: each time the host waits for the device."""
    every = max(1, n_batches // _LOGS_AN_EPOCH)
    if (index + 1) % every and index + 1 != n_batches:
        return None
    value = float(loss.item())
    _require_finite(value, epoch)
    return value


def _require_finite(loss: float, epoch: int) -> None:
    if not math.isfinite(loss):
        raise TrialFailed(
            f"the loss became {loss} in epoch {epoch}: try a lower optimizer.lr or train.clip_norm"
        )


def validation_scorers(detector: Detector, images: ImageSet) -> list[ImageScorer]:
    """The maps of the validation images with their words, ready to be scored at any thresholds."""
    return list(_scorers(detector, images))


def _scorers(detector: Detector, images: ImageSet) -> Iterator[ImageScorer]:
    for index, (sample, letterbox) in enumerate(zip(images.samples, images.letterboxes, strict=True)):
        prob_map = detector.prob_map(images.canvases[index])
        yield ImageScorer(sample.name, MapDetector(prob_map, letterbox), sample.words)
