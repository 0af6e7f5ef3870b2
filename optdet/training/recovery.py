"""What training survives: a card too small for its batch, a loader that was killed, files that were removed.

The first two break off the epoch in work, and the run goes on from its last checkpoint, as after a kill; the
third costs all its epochs.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from optdet.errors import OptdetError

_MAX_LOADER_DEATHS = 3
"""In one epoch: where the system takes them again and again, more tries only take more time."""


@dataclass(frozen=True, slots=True)
class Batching:
    """Images a step, and steps an update of the weights."""

    batch_size: int
    accumulate: int

    def halved(self) -> Batching | None:
        """Half the images a step and twice the steps an update; None for steps of one image."""
        return Batching(self.batch_size // 2, 2 * self.accumulate) if self.batch_size > 1 else None


class CardFull(Exception):
    """Training ran out of GPU memory with this batching."""

    def __init__(self, batching: Batching) -> None:
        self.batching = batching
        super().__init__(f"{batching}")


class LoaderDied(Exception):
    """A process that loads images was ended from outside, in this epoch (from 1)."""

    def __init__(self, epoch: int, reason: str) -> None:
        self.epoch = epoch
        self.reason = reason
        super().__init__(reason)


class CheckpointsLost(Exception):
    """Files of the run that it cannot do without were removed, or are damaged."""


@dataclass(slots=True)
class LoaderDeaths:
    """Counts them, from the start of the epoch in work."""

    epoch: int = 0
    n_deaths: int = 0

    def may_go_on(self, died: LoaderDied) -> bool:
        """Count one; False where it is one too many for its epoch."""
        self.n_deaths = self.n_deaths + 1 if died.epoch == self.epoch else 1
        self.epoch = died.epoch
        return self.n_deaths <= _MAX_LOADER_DEATHS


@contextmanager
def card_faults(batching: Batching) -> Iterator[None]:
    """CardFull for torch's own error."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise CardFull(batching) from error


@contextmanager
def checkpoint_faults() -> Iterator[None]:
    """CheckpointsLost where the folder is removed just while a file is written into it."""
    try:
        yield
    except (OptdetError, FileNotFoundError) as error:
        if not isinstance(error.__cause__ or error, FileNotFoundError):
            raise
        raise CheckpointsLost("the folder of its checkpoints was removed") from error


@contextmanager
def loader_faults(epoch: int) -> Iterator[None]:
    """LoaderDied for torch's error, which has no class of its own and is raised wherever the main thread is
    when a loader process ends."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).partition("\n")[0].strip()
        if not reason.startswith("DataLoader worker (pid"):
            raise
        raise LoaderDied(epoch, reason.rstrip(".")) from error


def free_memory(device: torch.device) -> None:
    """Let go of what the broken-off epoch held: another try must not find the card as full."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
