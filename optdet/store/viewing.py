"""A storage for pages that are loaded again and again: a finished trial is read once."""

from __future__ import annotations

import json
from collections.abc import Container
from threading import Lock
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import text

from optdet.store.engine import read_transaction
from optdet.store.optuna_tables import OptunaTables, optuna_tables
from optdet.store.reading import Storage
from optdet.store.trial_reading import read_trials


class ViewingStorage(Storage):
    """Remembers the finished trials of studies that have a UUID: an id alone may be another study's by now.

    Nothing of a finished one changes. And it reads them without Optuna's objects of their rows, which at 2000
    trials with their attributes take seconds.
    """

    def __init__(self, *args: Any, uuid_key: str, **kwargs: Any) -> None:
        """``uuid_key`` is the user attribute that holds a study's UUID."""
        super().__init__(*args, **kwargs)
        self.uuid_key = uuid_key
        self._lock = Lock()
        self._tables: OptunaTables | None = None
        self._finished: dict[tuple[int, str], dict[int, FrozenTrial]] = {}

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        uuid = None if deepcopy or states is not None else self._uuid(study_id)
        if uuid is None:
            return super().get_all_trials(study_id, deepcopy=deepcopy, states=states)
        with self._lock:
            known = dict(self._finished.get((study_id, uuid), {}))
        newest = max(known, default=-1)
        left = self._unknown_ids(study_id, newest, known)
        with read_transaction(self.engine) as connection:
            self._tables = self._tables or optuna_tables(connection)
            found = read_trials(connection, self._tables, study_id, newer_than=newest, others=left)
        trials = known | {trial._trial_id: trial for trial in found}
        finished = {key: trial for key, trial in trials.items() if trial.state.is_finished()}
        with self._lock:
            others = {key: value for key, value in self._finished.items() if key[0] != study_id}
            self._finished = others | {(study_id, uuid): finished}
        return [trials[key] for key in sorted(trials)]

    def _uuid(self, study_id: int) -> str | None:
        query = 'SELECT value_json FROM study_user_attributes WHERE study_id = :study AND "key" = :key'
        with read_transaction(self.engine) as connection:
            stored = connection.scalar(text(query), {"study": study_id, "key": self.uuid_key})
        return None if stored is None else str(json.loads(stored))

    def _unknown_ids(self, study_id: int, newest: int, known: Container[int]) -> set[int]:
        """Trials up to the ``newest`` finished one that were not finished when it was."""
        query = "SELECT trial_id FROM trials WHERE study_id = :study AND trial_id <= :newest"
        with read_transaction(self.engine) as connection:
            there = connection.scalars(text(query), {"study": study_id, "newest": newest})
            return {trial_id for trial_id in there if trial_id not in known}
