"""Many attributes at once, or some in place of others: Optuna takes a transaction for each of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from sqlalchemy import text

from optdet.store.engine import write_transaction


def set_user_attributes(storage: RDBStorage, trial_id: int, values: Mapping[str, Any]) -> None:
    """Write them into a running trial, all or none. UpdateFinishedTrialError for one that has ended."""
    _set_attributes(storage, "trial_user_attributes", trial_id, values)


def set_system_attributes(storage: RDBStorage, trial_id: int, values: Mapping[str, Any]) -> None:
    """The same for those that Optuna and its dashboard keep."""
    _set_attributes(storage, "trial_system_attributes", trial_id, values)


def replace_study_attributes(
    storage: RDBStorage,
    study_id: int,
    prefix: str,
    values: Mapping[str, Any],
    *,
    replaces: Callable[[Any], bool],
) -> list[str]:
    """Write system attributes of a study in place of those under a prefix whose value ``replaces`` accepts;
    the keys that went. KeyError for a study that is gone."""
    rows = [{"study": study_id, "name": name, "value": json.dumps(values[name])} for name in values]
    with write_transaction(storage.engine, f"optdet:study:{study_id}") as connection:
        exists = text("SELECT 1 FROM studies WHERE study_id = :study")
        if connection.scalar(exists, {"study": study_id}) is None:
            raise KeyError(f"study {study_id} is gone")
        there = connection.execute(
            text(
                'SELECT "key", value_json FROM study_system_attributes '
                'WHERE study_id = :study AND substr("key", 1, :length) = :prefix'
            ),
            {"study": study_id, "length": len(prefix), "prefix": prefix},
        ).all()
        gone = [key for key, value in there if replaces(json.loads(value))]
        for key in {*gone, *values}:
            connection.execute(
                text('DELETE FROM study_system_attributes WHERE study_id = :study AND "key" = :name'),
                {"study": study_id, "name": key},
            )
        insert = text(
            'INSERT INTO study_system_attributes (study_id, "key", value_json) VALUES (:study, :name, :value)'
        )
        connection.execute(insert, rows)
    return gone


def _set_attributes(
    storage: RDBStorage,
    table: Literal["trial_user_attributes", "trial_system_attributes"],
    trial_id: int,
    values: Mapping[str, Any],
) -> None:
    rows = [{"trial": trial_id, "name": name, "value": json.dumps(values[name])} for name in values]
    with write_transaction(storage.engine, f"optdet:trial:{trial_id}") as connection:
        state = connection.scalar(
            text("SELECT state FROM trials WHERE trial_id = :trial"), {"trial": trial_id}
        )
        if state != "RUNNING":
            raise UpdateFinishedTrialError(f"trial {trial_id} is not running: {state}")
        if not rows:
            return
        connection.execute(text(f'DELETE FROM {table} WHERE trial_id = :trial AND "key" = :name'), rows)
        connection.execute(
            text(f'INSERT INTO {table} (trial_id, "key", value_json) VALUES (:trial, :name, :value)'), rows
        )
