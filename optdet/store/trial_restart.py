"""A running trial made blank: its number, parameters and place in the queue stay, what came of it goes."""

from __future__ import annotations

from collections.abc import Collection

from optuna.storages import RDBStorage
from sqlalchemy import and_, bindparam, delete, text

from optdet.store.engine import write_transaction
from optdet.store.tables import CHECKPOINTS, INNER_TRIALS

PRUNED_AT = "optdet:pruned_at"
"""A system attribute: the epoch after which the pruner has ended the trial."""

# What is noted of a trial while it runs: the pictures attached to it, and where a pruner has compared it.
_OF_THE_RUN = ("artifacts:", "completed_rung_", PRUNED_AT)


def blank_trial(
    storage: RDBStorage, trial_id: int, study_uuid: str, number: int, *, user_attrs: Collection[str]
) -> None:
    """Drop a running trial's reports, these of its user attributes, and our rows of it: all, or nothing.

    Optuna's API can overwrite a report, and remove none. A trial that has ended is left as it is.
    """
    of_trial = {"trial": trial_id}
    with write_transaction(storage.engine, f"optdet:slots:{study_uuid}") as connection:
        state = connection.scalar(text("SELECT state FROM trials WHERE trial_id = :trial"), of_trial)
        if state != "RUNNING":
            return
        connection.execute(text("DELETE FROM trial_intermediate_values WHERE trial_id = :trial"), of_trial)
        named = text('DELETE FROM trial_user_attributes WHERE trial_id = :trial AND "key" IN :names')
        connection.execute(
            named.bindparams(bindparam("names", expanding=True)), {**of_trial, "names": sorted(user_attrs)}
        )
        begins = text(
            "DELETE FROM trial_system_attributes"
            ' WHERE trial_id = :trial AND substr("key", 1, :length) = :prefix'
        )
        for prefix in _OF_THE_RUN:
            connection.execute(begins, {**of_trial, "length": len(prefix), "prefix": prefix})
        for table in (CHECKPOINTS, INNER_TRIALS):
            is_trial = and_(table.c.study_uuid == study_uuid, table.c.trial_number == number)
            connection.execute(delete(table).where(is_trial))
