"""What an epoch gave, and what follows from the epochs so far. Pure: the same history decides the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from optdet.structures import CheckpointRule, Thresholds


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch, from 1: mean losses, the learning rate at its end, and the validation score.

    ``hmean`` is the competition macro H-mean at ``thresholds``, the best point of the coarse lattice.
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

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EpochRecord:
        return cls(**{**values, "thresholds": Thresholds.from_dict(values["thresholds"])})


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
