"""One epoch of training and one of validation: the loop that everything else is built around."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
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
from optdet.model.head import DBOutput
from optdet.model.losses import DBLoss, Targets
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

    def set_rate(self, lr: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = lr


@dataclass(frozen=True, slots=True)
class EpochLosses:
    """Means over the batches of an epoch, and what it took. Of each source of several: how many images it
    gave, and the sum of their own losses (see `DBLoss.of_each`).
    """

    total: float
    prob: float
    thresh: float
    binary: float
    lr: float
    seconds: float
    n_images: int
    n_updates: int
    source_images: tuple[int, ...] = ()
    source_sums: tuple[float, ...] = ()


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
    n_sources: int = 1,
    on_batch: OnBatch | None = None,
) -> EpochLosses:
    """Forward, backward and, every ``accumulate`` batches, update over one epoch (from 1), whose last update
    may have fewer. With several sources their losses are kept apart, too.

    ``pace`` says where the schedule stands, by default after as many of its epochs; ``updates_before`` are
    those of the epochs before. TrialFailed when the loss is not finite.
    """
    pace = pace or Pace(config.train.epochs)
    started = time.perf_counter()
    loss_fn = DBLoss(**config.loss.model_dump())
    n_batches = len(loader)
    sums = torch.zeros(4, device=device)
    by_source = _SourceSums(n_sources, device)
    n_images, lr = 0, 0.0
    state.model.train()
    for index, batch in enumerate(loader):
        images, packed, sources = batch.to(device)
        targets = packed.unpacked(thresh_min=config.target.thresh_min, thresh_max=config.target.thresh_max)
        progress = pace.progress(epoch - 1 + index / n_batches, updates_before + index / accumulate)
        lr = learning_rate(config.scheduler, config.optimizer.lr, progress, pace.epochs)
        state.set_rate(lr)
        with autocast(device, dtype):
            output = state.model(normalize(images))
        losses = loss_fn(output, targets)
        n_together = min(accumulate, n_batches - index // accumulate * accumulate)
        state.scaler.scale(losses.total / n_together).backward()  # type: ignore[no-untyped-call]
        if (index + 1) % accumulate == 0 or index + 1 == n_batches:
            _update(state, config.train.clip_norm)
        sums += torch.stack([losses.total.detach(), losses.prob, losses.thresh, losses.binary])
        by_source.add(loss_fn, output, targets, sources)
        n_images += len(images)
        if on_batch is not None:
            on_batch(index + 1, n_batches, _logged(losses.total, epoch, index, n_batches))
    total, prob, thresh, binary = (sums / n_batches).tolist()
    _require_finite(total, epoch)
    seconds = time.perf_counter() - started
    counts, source_sums = by_source.fetch()
    return EpochLosses(
        total,
        prob,
        thresh,
        binary,
        lr=lr,
        seconds=seconds,
        n_images=n_images,
        n_updates=-(-n_batches // accumulate),
        source_images=counts,
        source_sums=source_sums,
    )


class _SourceSums:
    """Images and their losses by source, added up on the device: nothing is waited for before the epoch's
    end. Of a single source nothing is done.
    """

    def __init__(self, n_sources: int, device: torch.device) -> None:
        self._sums = torch.zeros(2, n_sources, device=device) if n_sources > 1 else None
        self._numbers = torch.arange(n_sources, device=device)

    def add(self, loss_fn: DBLoss, output: DBOutput, targets: Targets, sources: torch.Tensor) -> None:
        if self._sums is None:
            return
        # A product, not index_add: the same sum each time, on a GPU too.
        of_source = (sources[:, None] == self._numbers).float()
        self._sums += torch.stack([of_source.sum(0), loss_fn.of_each(output, targets) @ of_source])

    def fetch(self) -> tuple[tuple[int, ...], tuple[float, ...]]:
        if self._sums is None:
            return (), ()
        counts, losses = self._sums.tolist()
        return tuple(map(int, counts)), tuple(losses)


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


def validation_scorers(detector: Detector, images: ImageSet, batch_size: int) -> Iterator[ImageScorer]:
    """The maps of the validation images with their words, ready to be scored at any thresholds; made as they
    are asked for, on CUDA in batches. TrialFailed for a map with a NaN in it."""
    canvases = (images.canvases[index] for index in range(len(images)))
    maps = detector.batched_maps(canvases, batch_size)
    for sample, letterbox, prob_map in zip(images.samples, images.letterboxes, maps, strict=True):
        if np.isnan(prob_map).any():  # the loss may still be a number: running statistics blow up first
            raise TrialFailed(
                f"the probability map of {sample.name} is not a number: try a lower optimizer.lr or "
                "train.clip_norm"
            )
        yield ImageScorer(sample.name, MapDetector(prob_map, letterbox), sample.words)
