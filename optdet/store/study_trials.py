"""What is read and changed in Optuna's own tables inside a transaction of ours: a study's trials, its end.

Optuna's API does the same, but in a transaction of its own: between its answer and ours another worker could
come. Its states are stored by name, in ``trials.state``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import ColumnElement, column, exists, select, table, text
from sqlalchemy.engine import Connection

from optdet.errors import OptdetError

RETIRED = "deleted:"
"""Stands before the UUID of a study that is being deleted."""


@dataclass(frozen=True, slots=True)
class StudyTrials:
    """Trial numbers by state; ``n_finished`` counts the complete and the pruned ones, not the failed."""

    running: frozenset[int]
    waiting: frozenset[int]
    n_finished: int


def read_study_trials(connection: Connection, study_id: int, study_uuid: str) -> StudyTrials:
    """The states of a study's trials; an error if the study of that UUID is no longer the one with that id.

    The UUID is expected among the study's user attributes, as a plain string under any key.
    """
    if not connection.scalar(select(is_there(study_id, study_uuid))):
        raise OptdetError("this study was deleted", where=study_uuid, fix="see `optdet study list`")
    unfinished = connection.execute(
        text(
            "SELECT number, state FROM trials WHERE study_id = :study"
            " AND state IN ('RUNNING', 'WAITING') AND number IS NOT NULL"
        ),
        {"study": study_id},
    ).all()
    n_finished = connection.scalar(
        text("SELECT COUNT(*) FROM trials WHERE study_id = :study AND state IN ('COMPLETE', 'PRUNED')"),
        {"study": study_id},
    )
    return StudyTrials(
        running=frozenset(number for number, state in unfinished if state == "RUNNING"),
        waiting=frozenset(number for number, state in unfinished if state == "WAITING"),
        n_finished=int(n_finished or 0),
    )


def is_there(study_id: int, study_uuid: str) -> ColumnElement[bool]:
    """Whether the study of that UUID is still the one with that id: of a deleted one another may get it."""
    stored = table("study_user_attributes", column("study_id"), column("value_json"))
    return exists().where(stored.c.study_id == study_id, stored.c.value_json == json.dumps(study_uuid))


def retire_study(connection: Connection, study_id: int, study_uuid: str) -> None:
    """From now on the study is a deleted one to whoever reads its trials; its UUID stays readable."""
    connection.execute(
        text(
            "UPDATE study_user_attributes SET value_json = :retired"
            " WHERE study_id = :study AND value_json = :uuid"
        ),
        {"study": study_id, "uuid": json.dumps(study_uuid), "retired": json.dumps(RETIRED + study_uuid)},
    )
