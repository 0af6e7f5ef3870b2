"""What the dashboard answered for a large study, said again while nothing of the study has changed.

To put 2000 trials into JSON takes optuna-dashboard most of a second, each time that the page is opened.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from typing import Any

from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial

from optdet.tuning.dashboard_large import LARGE

# Quotes inside of texts are escaped, so that these are found where the server begins a trial and its state.
_TRIAL = b'{"trial_id": '
_UNFINISHED = re.compile(rb'"state": "(?:Running|Waiting)"')
_BEST = 1
"""The best trial is said a second time."""


class KeptAnswer:
    """The last large study's answer: one, which is megabytes. Who shares it asks and keeps in turn."""

    def __init__(self) -> None:
        self._state: Hashable = None
        self._body = b""

    def of(self, state: Hashable) -> bytes | None:
        """The answer for a study in just this state, where it is the one that is kept."""
        return self._body if state is not None and state == self._state else None

    def keep(self, state: Hashable, trials: Sequence[FrozenTrial], body: bytes) -> None:
        """Keep a body that was asked for after its ``state`` was read.

        The server remembers trials for ten seconds, so that what it says may be older than ``trials``: such a
        body is not kept.
        """
        is_whole = body.count(_TRIAL) == len(trials) + _BEST and not _UNFINISHED.search(body)
        if state is not None and is_whole:
            self._state, self._body = state, body


def settled_state(storage: RDBStorage, study_id: int, trials: Sequence[FrozenTrial]) -> Hashable:
    """All that the answer for a study depends on, or None while a trial of it may change or it is small.

    A finished trial never changes: notes on it and its artifacts are attributes of the study.
    """
    if len(trials) < LARGE or not all(trial.state.is_finished() for trial in trials):
        return None
    attributes: tuple[dict[str, Any], ...] = (
        storage.get_study_user_attrs(study_id),
        storage.get_study_system_attrs(study_id),
    )
    name = storage.get_study_name_from_id(study_id)
    return study_id, name, len(trials), trials[-1]._trial_id, repr(attributes)
