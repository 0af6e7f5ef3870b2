"""``train.batch_size: auto``: the most images a step that the card holds, found by real steps.

A step is training's own, with optimizer and average, on noise: what it needs depends on shapes alone. A share
of the card stays free, since kernels choose their workspace anew, and another process may want some.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from optdet.config import Config, TrainConfig
from optdet.data.dataset import Batch, PackedTargets
from optdet.errors import TrialFailed
from optdet.inference.detector import Normalizer
from optdet.inference.preprocessing import Preprocessing
from optdet.phrases import counted
from optdet.training.loop import train_epoch
from optdet.training.memory import is_out_of_memory
from optdet.training.recovery import free_memory
from optdet.training.run import Run, set_up

_SHARE = 0.92
"""Of the memory that is free: the rest is for fragments, and for what else wants the card."""
_ON_CPU = 8
PeakOf = Callable[[int], int | None]
"""The most bytes that a step with so many images held; None where they do not fit."""


@dataclass(frozen=True, slots=True)
class FittedBatch:
    """Images a step; ``peak_bytes`` of ``limit_bytes``, both None on the CPU, where nothing is measured."""

    batch_size: int
    peak_bytes: int | None = None
    limit_bytes: int | None = None

    def in_words(self) -> str:
        images = counted(self.batch_size, "image")
        if self.peak_bytes is None or self.limit_bytes is None:
            return f"{images} a batch: on the CPU `auto` is the default"
        return f"{images} a batch fill {self.peak_bytes / 1e9:.1f} of {self.limit_bytes / 1e9:.1f} GB"


def fitted_batch(config: Config, device: torch.device, n_images: int) -> FittedBatch:
    """The largest batch of at most ``n_images`` that a step on the device has memory for.

    TrialFailed where not even one image fits.
    """
    if device.type != "cuda":
        return FittedBatch(min(_ON_CPU, n_images))
    free_memory(device)
    limit = int(_SHARE * torch.cuda.mem_get_info(device)[0])
    batch_size, peak = _searched(config, device, limit, n_images)
    free_memory(device)
    if batch_size == 0:
        raise TrialFailed(
            f"out of GPU memory with one image of {config.data.size} pixels: lower data.size, "
            "or take a smaller model"
        )
    return FittedBatch(batch_size, peak, limit)


def _searched(config: Config, device: torch.device, limit: int, n_images: int) -> tuple[int, int]:
    """By steps of a network of its own, which is gone when this returns."""
    before = torch.cuda.memory_reserved(device)
    train = config.train.model_copy(update={"batch_size": 1, "compile": False})  # not for each size anew
    probe = set_up(config.model_copy(update={"train": train}), Path(), device, n_epochs=1)

    def peak_of(n: int) -> int | None:
        free_memory(device)
        torch.cuda.reset_peak_memory_stats(device)
        try:
            _step(probe, n)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            return None
        return torch.cuda.max_memory_reserved(device) - before

    return largest_batch(peak_of, limit, n_images, n_min=probe.smallest_batch)


def largest_batch(peak_of: PeakOf, limit: int, n_max: int, *, n_min: int = 1) -> tuple[int, int]:
    """The largest n of n_min..n_max whose step stays within ``limit``, and its bytes; (0, 0) for none.

    Memory grows nearly in proportion to images: the line through what is known says where to look next, and
    halving the range where it does not help.
    """
    fits = {n_min - 1: 0}
    too_many = n_max + 1
    while max(fits) + 1 < too_many:
        guess = _next_guess(fits, max(fits) + 1, too_many - 1, limit)
        if too_many <= n_max:  # the line has missed once
            guess = min(guess, (max(fits) + too_many) // 2)
        peak = peak_of(guess)
        if peak is None or peak > limit:
            too_many = guess
        else:
            fits[guess] = peak
    best = max(fits)
    return (best, fits[best]) if best >= n_min else (0, 0)


def _next_guess(fits: dict[int, int], low: int, high: int, limit: int) -> int:
    """Of ``low`` to ``high``, where the line through the two largest that fit reaches the limit."""
    largest = max(fits)
    if largest < 2:  # one image alone says nothing of the next: much of it is the model
        return low
    second = max(n for n in fits if n != largest)
    slope = (fits[largest] - fits[second]) / (largest - second)
    ahead = int((limit - fits[largest]) / slope) if slope > 0 else high
    return max(low, min(largest + ahead, high))


def with_batch(config: Config, batch_size: int) -> Config:
    """The same settings with a known batch size."""
    train: TrainConfig = config.train.model_copy(update={"batch_size": batch_size})
    return config.model_copy(update={"train": train})


def _step(probe: Run, n: int) -> None:
    """One update with ``n`` images of noise."""
    config, size = probe.config, probe.config.data.size
    batch = Batch(
        torch.randint(0, 256, (n, size, size, 3), dtype=torch.uint8),
        PackedTargets(
            torch.randint(0, 4, (n, size, size), dtype=torch.uint8),
            torch.zeros((n, size, size), dtype=torch.int16),
        ),
        torch.zeros(n, dtype=torch.int64),
    )
    train_epoch(
        probe.state,
        [batch],  # type: ignore[arg-type]
        config,
        epoch=1,
        accumulate=1,
        normalize=Normalizer(Preprocessing.of(config), probe.device),
        device=probe.device,
        dtype=probe.dtype,
    )
