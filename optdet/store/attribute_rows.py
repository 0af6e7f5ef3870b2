"""Many attributes of a trial at once: Optuna takes a transaction for each of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
