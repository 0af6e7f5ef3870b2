"""What an epoch gave, and what follows from the epochs so far. Pure: the same history decides the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from optdet.phrases import counted
from optdet.structures import CheckpointRule, Thresholds


@dataclass(frozen=True, slots=True)
class SourceLoss:
    """What an epoch took from one source: ``loss`` is the mean of its images' losses, None without images.

    An image's loss is that of a batch of it alone; a batch mines its hard negatives over all of its images,
    so these do not average to the epoch's loss. They compare sources with each other, and with themselves.
    """

    name: str
    n_images: int
    loss: float | None


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch, from 1: mean losses, the learning rate at its end, and the validation score.

    ``hmean`` is the competition macro H-mean at ``thresholds``: the best point of the coarse lattice, or with
    ``epoch_thresholds: current`` the config's own.
    ``sources`` is empty for a single one.
    """

    epoch: int
    loss: float
    prob_loss: float
    thresh_loss: float
    binary_loss: float
    lr: float
    hmean: float
    thresholds: Thresholds
    seconds: float
    images_per_s: float
    updates: int = 0
    """Of the weights, since the first epoch's start."""
    sources: tuple[SourceLoss, ...] = ()
    peak_bytes: int | None = None
    """The most memory that was held, see :func:`optdet.training.memory.peak_bytes`."""

    def reproducible(self) -> EpochRecord:
        """What equal runs have in common: all but times and memory."""
        return replace(self, seconds=0.0, images_per_s=0.0, peak_bytes=None)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EpochRecord:
        # Checkpoints of an earlier optdet have none.
        sources = tuple(SourceLoss(**source) for source in values.get("sources", ()))
        return cls(**{**values, "thresholds": Thresholds.from_dict(values["thresholds"]), "sources": sources})


def by_source(sources: Iterable[SourceLoss]) -> str:
    """``receipts 64 images, loss 2.413; scans 16 images, loss 3.120``."""
    return "; ".join(
        f"{source.name} {counted(source.n_images, 'image')}"
        + ("" if source.loss is None else f", loss {source.loss:.3f}")
        for source in sources
    )


def best_epoch(history: Sequence[EpochRecord]) -> int:
    """The first epoch with the highest H-mean; 0 for none."""
    if not history:
        return 0
    return max(history, key=lambda record: (record.hmean, -record.epoch)).epoch


def kept_epoch(history: Sequence[EpochRecord], rule: CheckpointRule) -> int:
    """The epoch whose weights are kept: the best, or with ``fixed`` the last; 0 for none."""
    if rule == "fixed":
        return history[-1].epoch if history else 0
    return best_epoch(history)


def stops_early(history: Sequence[EpochRecord], patience: int) -> bool:
    """Whether the last ``patience`` epochs brought nothing better; never with patience 0."""
    return patience > 0 and bool(history) and history[-1].epoch - best_epoch(history) >= patience
