"""Every study of a database at a glance, in two queries however many trials there are.

Optuna's own summaries take seconds on a large database: they read every trial.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from optuna.storages import RDBStorage
from sqlalchemy import text

from optdet.store.engine import read_transaction


@dataclass(frozen=True, slots=True)
class StudyRow:
    """A study with its user attributes and its trials counted by state (COMPLETE, PRUNED, RUNNING, ...)."""

    study_id: int
    name: str
    attributes: dict[str, Any]
    n_trials: dict[str, int]

    @property
    def n_finished(self) -> int:
        return self.n_trials.get("COMPLETE", 0) + self.n_trials.get("PRUNED", 0)


def best_values(storage: RDBStorage) -> dict[int, float]:
    """The highest value of a complete trial, by study id."""
    query = (
        "SELECT trials.study_id, MAX(trial_values.value) FROM trials"
        " JOIN trial_values ON trial_values.trial_id = trials.trial_id"
        " WHERE trials.state = 'COMPLETE' GROUP BY trials.study_id"
    )
    with read_transaction(storage.engine) as connection:
        rows = connection.execute(text(query)).all()
    # A study of another program may have infinite values only: they are stored apart, with NULL here.
    return {study_id: float(value) for study_id, value in rows if value is not None}


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a study is: its trials counted by state (COMPLETE, PRUNED, ...), and its best complete one."""

    n_trials: dict[str, int]
    best_value: float | None
    best_number: int | None


def standing_of(storage: RDBStorage, study_id: int) -> Standing:
    """Of one study, however many trials it has; of equal values the first trial's is the best."""
    best_first = (
        "SELECT trials.number, trial_values.value FROM trials"
        " JOIN trial_values ON trial_values.trial_id = trials.trial_id"
        " WHERE trials.study_id = :study AND trials.state = 'COMPLETE' AND trial_values.value IS NOT NULL"
        " ORDER BY trial_values.value DESC, trials.number LIMIT 1"
    )
    counted = "SELECT state, COUNT(*) FROM trials WHERE study_id = :study GROUP BY state"
    with read_transaction(storage.engine) as connection:
        counts = connection.execute(text(counted), {"study": study_id}).all()
        best = connection.execute(text(best_first), {"study": study_id}).first()
    number, value = (None, None) if best is None else (int(best[0]), float(best[1]))
    return Standing({str(state): int(n_trials) for state, n_trials in counts}, value, number)


def list_studies(storage: RDBStorage, *, attributes: tuple[str, ...] = ()) -> list[StudyRow]:
    """All studies, oldest first, with the named user attributes where they have them."""
    with read_transaction(storage.engine) as connection:
        studies = connection.execute(text("SELECT study_id, study_name FROM studies ORDER BY study_id")).all()
        counts = connection.execute(
            text("SELECT study_id, state, COUNT(*) FROM trials GROUP BY study_id, state")
        ).all()
        values: dict[int, dict[str, Any]] = defaultdict(dict)
        for key in attributes:
            rows = connection.execute(
                text('SELECT study_id, value_json FROM study_user_attributes WHERE "key" = :key'),
                {"key": key},
            )
            for study_id, value_json in rows:
                values[study_id][key] = json.loads(value_json)
    by_study: dict[int, dict[str, int]] = defaultdict(dict)
    for study_id, state, n_trials in counts:
        by_study[study_id][state] = n_trials
    return [StudyRow(study_id, name, values[study_id], by_study[study_id]) for study_id, name in studies]


def study_names(storage: RDBStorage) -> set[str]:
    """Names of all studies."""
    with read_transaction(storage.engine) as connection:
        return set(connection.scalars(text("SELECT study_name FROM studies")))
