"""How long a run trains, and where it stands in its schedule: in epochs, or in updates of the weights.

Updates are what two runs on sets of different size have in common: an epoch of four fifths of the images has
four fifths of the updates. A run with a budget of updates takes as many epochs as hold them, and cuts the
last one short.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from optdet.config import Config
from optdet.data.sampling import SourcePart, epoch_order


@dataclass(frozen=True, slots=True)
class Budget:
    """Updates of a whole run, and those that its schedule counts as an epoch."""

    updates: int
    epoch_updates: float


def epoch_updates(config: Config, parts: Sequence[SourcePart], epoch: int) -> int:
    """Updates of a whole epoch (from 1) over images of these sources."""
    n_images = len(epoch_order(parts, config.seed, epoch))
    n_batches = -(-n_images // config.train.images_a_step)
    return -(-n_batches // config.train.accumulate)


def updates_behind(config: Config, parts: Sequence[SourcePart], epochs: int) -> int:
    """Updates of the first ``epochs``, where none is cut short."""
    return sum(epoch_updates(config, parts, epoch) for epoch in range(1, epochs + 1))


def planned_epochs(config: Config, parts: Sequence[SourcePart]) -> int:
    """Epochs that a run has if it does not stop early, the last one maybe cut short."""
    wanted = config.train.updates
    if wanted is None:
        return config.train.epochs
    done = 0
    for epoch in count(1):
        done += epoch_updates(config, parts, epoch)
        if done >= wanted:
            return epoch
    raise AssertionError("an epoch has an update")


@dataclass(frozen=True, slots=True)
class Pace:
    """How a run moves through its schedule. ``epochs`` is the schedule's end where t_max is left out;
    ``epoch_updates`` are updates that count as an epoch, None where the run's own epochs do.
    """

    epochs: float
    epoch_updates: float | None = None

    @classmethod
    def of(cls, config: Config, parts: Sequence[SourcePart]) -> Pace:
        train, an_epoch = config.train, config.scheduler.epoch_updates
        if train.updates is None:
            return cls(float(train.epochs), an_epoch)
        # With a last epoch cut short its own length is no measure: that of the first is.
        an_epoch = an_epoch or float(epoch_updates(config, parts, 1))
        return cls(train.updates / an_epoch, an_epoch)

    def progress(self, epochs: float, updates: float) -> float:
        """Epochs of the schedule that lie behind a run after so many of its own, and so many updates."""
        return epochs if self.epoch_updates is None else updates / self.epoch_updates
