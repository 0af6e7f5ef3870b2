"""Many finished trials at once: Optuna adds each in a transaction of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy import func, select

from optdet.store.engine import read_transaction, write_transaction
from optdet.store.optuna_tables import OptunaTables, insert_keyed, insert_rows, optuna_tables


def add_finished_trials(storage: RDBStorage, study_id: int, trials: Sequence[FrozenTrial]) -> None:
    """Append complete trials of one objective to a study, all or none, as ``Study.add_trial`` stores them:
    their value (not infinite), parameters, user attributes and times."""
    with read_transaction(storage.engine) as connection:
        tables = optuna_tables(connection)
    _add(storage, tables, study_id, trials)


def _add(storage: RDBStorage, tables: OptunaTables, study_id: int, trials: Sequence[FrozenTrial]) -> None:
    values, params, user_attrs = (
        tables.of_trials[name][0] for name in ("trial_values", "trial_params", "trial_user_attributes")
    )
    of_study = tables.trials.c.study_id == study_id
    with write_transaction(storage.engine, f"optdet:trials:{study_id}") as connection:
        n_there = connection.scalar(select(func.count()).select_from(tables.trials).where(of_study)) or 0
        rows = [
            {
                "number": number,
                "study_id": study_id,
                "state": trial.state.name,
                "datetime_start": _utc(trial.datetime_start),
                "datetime_complete": _utc(trial.datetime_complete),
            }
            for number, trial in enumerate(trials, start=n_there)
        ]
        identified = list(zip(insert_keyed(connection, tables.trials, rows), trials, strict=True))
        insert_rows(
            connection,
            values,
            [
                {"trial_id": key, "objective": 0, "value": trial.value, "value_type": "FINITE"}
                for key, trial in identified
            ],
        )
        insert_rows(
            connection,
            params,
            [
                {
                    "trial_id": key,
                    "param_name": name,
                    "param_value": trial.distributions[name].to_internal_repr(value),
                    "distribution_json": distribution_to_json(trial.distributions[name]),
                }
                for key, trial in identified
                for name, value in trial.params.items()
            ],
        )
        insert_rows(
            connection,
            user_attrs,
            [
                {"trial_id": key, "key": name, "value_json": json.dumps(value)}
                for key, trial in identified
                for name, value in trial.user_attrs.items()
            ],
        )


def _utc(local: datetime | None) -> datetime | None:
    """Optuna keeps times in UTC without saying so, and hands them out in local time."""
    return None if local is None else local.astimezone(UTC).replace(tzinfo=None)
