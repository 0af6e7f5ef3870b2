"""What training survives: a card too small for its batch, a loader that was killed, files that were removed.

All break off the epoch in work, and the run goes on from its newest whole checkpoint, as after a kill. Where
files were removed there may be none: then from the first epoch.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from optdet.errors import OptdetError
from optdet.training.memory import is_out_of_memory

_MAX_LOADER_DEATHS = 3
"""In one epoch: where the system takes them again and again, more tries only take more time."""


@dataclass(frozen=True, slots=True)
class Batching:
    """Images a step, and steps an update of the weights."""

    batch_size: int
    accumulate: int

    def halved(self, smallest: int = 1) -> Batching | None:
        """At most half the images a step, and more steps an update, so that it has as many images as before;
        None where that would be fewer than ``smallest`` a step.
        """
        an_update = self.batch_size * self.accumulate
        for batch_size in range(self.batch_size // 2, smallest - 1, -1):
            if an_update % batch_size == 0:
                return Batching(batch_size, an_update // batch_size)
        return None


class CardFull(Exception):
    """Training ran out of GPU memory with this batching; a step needs at least ``smallest`` images."""

    def __init__(self, batching: Batching, smallest: int) -> None:
        self.batching = batching
        self.smallest = smallest
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
def card_faults(batching: Batching, smallest: int) -> Iterator[None]:
    """CardFull for the errors that torch has for it."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise CardFull(batching, smallest) from error


@contextmanager
def checkpoint_faults(folder: Path) -> Iterator[None]:
    """CheckpointsLost where the folder, or a file in it, is removed just while it is used."""
    try:
        yield
    except (OptdetError, FileNotFoundError) as error:
        missing = error.__cause__ or error
        if not isinstance(missing, FileNotFoundError):
            raise
        what = missing.filename if folder.is_dir() else "the folder of its checkpoints"
        raise CheckpointsLost(f"{what} was removed") from error


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
