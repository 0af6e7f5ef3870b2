"""A study as rows, to be written into another database exactly as it was: all of it, or nothing.

Optuna's own ``copy_study`` adds trial after trial, each in a transaction of its own: one that is cut short
leaves a part under the final name, and notes of trials, which are found by the trial's id, are lost. Rows
keep every value as it is stored (times in UTC, numbers as they are), whatever columns this Optuna has: its
tables are found by their foreign keys. Slots are not copied: in the copy an unfinished trial waits for a
worker.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from optuna.storages import RDBStorage
from sqlalchemy import Table, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from optdet.errors import OptdetError
from optdet.store.engine import database_errors
from optdet.store.optuna_tables import OptunaTables, Row, insert_keyed, insert_rows, optuna_tables
from optdet.store.reading import reading
from optdet.store.tables import CHECKPOINTS, INNER_TRIALS

Rows = dict[str, list[Row]]

# Attributes of a study in which optuna-dashboard names one of its trials by id.
_OF_TRIAL_ID = re.compile(r"^(dashboard:(?:artifacts:)?|preference:skip_trial:)(\d+)(?=:|$)")


@dataclass(frozen=True, slots=True)
class StudyRows:
    """A study's rows by table, with the keys of their database; equal where nothing has changed."""

    name: str
    study_id: int
    trials: list[Row]
    of_study: Rows
    of_trials: Rows
    ours: Rows

    def user_attr(self, key: str) -> Any:
        found = (row["value_json"] for row in self.of_study["study_user_attributes"] if row["key"] == key)
        return json.loads(next(found))

    @property
    def has_checkpoints(self) -> bool:
        return bool(self.ours[CHECKPOINTS.name])

    def changed(
        self,
        *,
        name: str,
        user_attrs: Mapping[str, Any],
        without: Sequence[str] = (),
    ) -> StudyRows:
        """Under another name, with some of the study's user attributes replaced and others left out."""
        table = "study_user_attributes"
        kept = [row for row in self.of_study[table] if row["key"] not in {*user_attrs, *without}]
        new = [{"key": key, "value_json": json.dumps(value)} for key, value in user_attrs.items()]
        return replace(self, name=name, of_study={**self.of_study, table: kept + new})

    def moved(self, uuid: str, trial_attr: str, move: Callable[[str], str]) -> StudyRows:
        """With our rows under another UUID, and the paths in them and in a trial attribute changed."""

        def moved_attr(row: Row) -> Row:
            if row["key"] != trial_attr:
                return row
            return row | {"value_json": json.dumps(move(json.loads(row["value_json"])))}

        attrs = [moved_attr(row) for row in self.of_trials["trial_user_attributes"]]
        ours = {name: [row | {"study_uuid": uuid} for row in rows] for name, rows in self.ours.items()}
        ours[CHECKPOINTS.name] = [row | {"path": move(row["path"])} for row in ours[CHECKPOINTS.name]]
        return replace(self, of_trials={**self.of_trials, "trial_user_attributes": attrs}, ours=ours)

    def artifact_ids(self) -> list[str]:
        """Ids of the files that are attached to the study and to its trials."""
        rows = [*self.of_trials["trial_system_attributes"], *self.of_study["study_system_attributes"]]
        found = (re.fullmatch(r"(?:dashboard:)?artifacts:(?:\d+:)?([\w-]+)", row["key"]) for row in rows)
        return [match[1] for match in found if match]


def read_rows(storage: RDBStorage, studies: Mapping[int, tuple[str, str | None]]) -> list[StudyRows]:
    """Studies by id, each with its name and our UUID if it has one, as they are at one moment."""
    with _snapshot(storage) as connection:
        tables = optuna_tables(connection)
        return [_read(connection, tables, key, *names) for key, names in studies.items()]


def write_rows(storage: RDBStorage, studies: Sequence[StudyRows]) -> None:
    """Add studies in one transaction; OptdetError where one of the names is taken."""
    try:
        with database_errors(storage.engine.url), storage.engine.begin() as connection:
            tables = optuna_tables(connection)
            for study in studies:
                _write(connection, tables, study)
    except IntegrityError as error:
        raise OptdetError(
            f"a study named {studies[0].name!r}, or one of its inner studies, is there already",
            fix="give another name with --name",
        ) from error


@contextmanager
def _snapshot(storage: RDBStorage) -> Iterator[Connection]:
    """One state of the database for all queries; SQLite's transactions are so by themselves."""
    with database_errors(storage.engine.url), storage.engine.connect() as connection:
        if storage.engine.dialect.name != "sqlite":
            connection.execution_options(isolation_level="REPEATABLE READ")
        with reading():
            transaction = connection.begin()
        with transaction:
            yield connection


def _read(
    connection: Connection, tables: OptunaTables, study_id: int, name: str, uuid: str | None
) -> StudyRows:
    of_this = tables.trials.c.study_id == study_id
    trial_ids = select(tables.trials.c.trial_id).where(of_this)
    return StudyRows(
        name=name,
        study_id=study_id,
        trials=_rows(connection, tables.trials, of_this),
        of_study={
            table.name: _rows(connection, table, table.c[column] == study_id)
            for table, column in tables.of_study.values()
        },
        of_trials={
            table.name: _rows(connection, table, table.c[column].in_(trial_ids))
            for table, column in tables.of_trials.values()
        },
        ours={
            table.name: _rows(connection, table, table.c.study_uuid == uuid)
            for table in (CHECKPOINTS, INNER_TRIALS)
        },
    )


def _rows(connection: Connection, table: Table, condition: Any) -> list[Row]:
    query = select(table).where(condition).order_by(*table.primary_key)
    return [dict(row._mapping) for row in connection.execute(query)]


def _write(connection: Connection, tables: OptunaTables, rows: StudyRows) -> None:
    (study_id,) = insert_keyed(connection, tables.studies, [{"study_name": rows.name}])
    trials = [row | {"study_id": study_id} for row in rows.trials]
    # In the order of their numbers, which Optuna counts by the order of the ids.
    new_ids = insert_keyed(connection, tables.trials, trials)
    trial_ids = {row["trial_id"]: new_id for row, new_id in zip(rows.trials, new_ids, strict=True)}

    def renamed(match: re.Match[str]) -> str:
        return f"{match[1]}{trial_ids.get(int(match[2]), match[2])}"

    for name, (table, column) in tables.of_study.items():
        found = [row | {column: study_id} for row in rows.of_study[name]]
        if "key" in table.c:
            found = [row | {"key": _OF_TRIAL_ID.sub(renamed, row["key"])} for row in found]
        insert_rows(connection, table, found)
    for name, (table, column) in tables.of_trials.items():
        insert_rows(
            connection, table, [row | {column: trial_ids[row[column]]} for row in rows.of_trials[name]]
        )
    for table in (CHECKPOINTS, INNER_TRIALS):
        insert_rows(connection, table, rows.ours[table.name], keyed=False)
