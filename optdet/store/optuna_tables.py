"""Optuna's tables, found in the database itself, and rows for them: many in one transaction.

They are known by their foreign keys, whatever columns this Optuna has beside those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import MetaData, Table, insert
from sqlalchemy.engine import Connection

Row = dict[str, Any]

_N_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class OptunaTables:
    """Optuna's tables; those of a study or a trial, by name, with the column that says of which."""

    studies: Table
    trials: Table
    of_study: dict[str, tuple[Table, str]]
    of_trials: dict[str, tuple[Table, str]]


def optuna_tables(connection: Connection) -> OptunaTables:
    metadata = MetaData()
    metadata.reflect(connection)
    studies, trials = metadata.tables["studies"], metadata.tables["trials"]

    def pointing_to(target: Table) -> dict[str, tuple[Table, str]]:
        return {
            table.name: (table, key.parent.name)
            for table in metadata.sorted_tables
            for key in table.foreign_keys
            if key.column.table is target and table is not trials
        }

    return OptunaTables(studies, trials, pointing_to(studies), pointing_to(trials))


def insert_rows(connection: Connection, table: Table, rows: Sequence[Row], *, keyed: bool = True) -> None:
    """Rows without their own keys, where the database gives them (``keyed``)."""
    own = {column.name for column in table.primary_key} if keyed else set()
    for start in range(0, len(rows), _N_AT_ONCE):
        part = rows[start : start + _N_AT_ONCE]
        connection.execute(insert(table), [{k: v for k, v in row.items() if k not in own} for row in part])


def insert_keyed(connection: Connection, table: Table, rows: Sequence[Row]) -> list[int]:
    """The same, with the new keys in the order of the rows."""
    if not rows:
        return []
    (key,) = table.primary_key
    query = insert(table).returning(key, sort_by_parameter_order=True)
    without = [{name: value for name, value in row.items() if name != key.name} for row in rows]
    return list(connection.scalars(query, without))
