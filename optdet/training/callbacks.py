"""Who hears of a run while it trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from optdet.training.checkpoints import SavedCheckpoint
from optdet.training.history import EpochRecord
from optdet.training.loop import OnBatch
from optdet.training.recovery import Batching


def _nothing(*_: Any) -> None:
    """The default of every callback."""


@dataclass(frozen=True, slots=True)
class FitCallbacks:
    """Who hears what. ``on_epoch_end``, ``on_batch`` and ``before_save`` may raise; what they raise leaves
    :func:`fit` as it is.

    ``on_resume`` is given the epochs on disk, of which a database that was restored may know less, and one
    that outlived its files more; ``on_smaller_batch`` how it goes on after the card was too small.
    ``before_save`` is called before files of the run are written or removed, by a run that goes on too.
    """

    on_epoch_end: Callable[[EpochRecord], None] = _nothing
    on_checkpoint: Callable[[SavedCheckpoint], None] = _nothing
    on_batch: OnBatch = _nothing
    say: Callable[[str], None] = _nothing
    on_resume: Callable[[Sequence[EpochRecord]], None] = _nothing
    on_smaller_batch: Callable[[Batching], None] = _nothing
    before_save: Callable[[], None] = _nothing


UNHEARD = FitCallbacks()
"""Of a run that nobody listens to."""
