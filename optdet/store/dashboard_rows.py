"""What optuna-dashboard keeps of a study among its system attributes: the note, and graphs of Plotly.

Both are long texts, in numbered pieces of at most 2045 characters. The dashboard's own functions take a
transaction a piece, so that a page that is loaded meanwhile, or a process that is killed, meets half a text.
Here a text is written in one; and a note is read and written in one, so that nobody's words are lost between.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.storages import RDBStorage
from sqlalchemy import text
from sqlalchemy.engine import Connection

from optdet.store.engine import read_transaction, write_transaction

PIECE = 2045
"""Characters of a piece; MySQL's columns hold no more of JSON."""
_NOTE, _NOTE_VERSION = "dashboard:note_str:", "dashboard:note_ver"
_GRAPH = "dashboard:plot_data:"


@dataclass(frozen=True, slots=True)
class NotedStudy:
    """A study with some of its user attributes and its note; None where it never had one."""

    study_id: int
    name: str
    attributes: dict[str, Any]
    note: str | None


Rewrite = Callable[[Sequence[NotedStudy]], Mapping[int, str]]
"""The new notes by study id: of those alone that are to have another."""


def rewrite_notes(storage: RDBStorage, attributes: Sequence[str], rewrite: Rewrite) -> int:
    """Give studies the notes that ``rewrite`` makes of all of them, oldest first; how many were written.

    It is called twice where there is something to write: what it saw without the write lock may have changed.
    """
    with read_transaction(storage.engine) as connection:
        if not rewrite(_noted(connection, attributes)):
            return 0
    with write_transaction(storage.engine, "optdet:notes") as connection:
        notes = rewrite(_noted(connection, attributes))
        for study_id, note in notes.items():
            _write_note(connection, study_id, note)
    return len(notes)


def save_note(storage: RDBStorage, study_id: int, note: str) -> None:
    """In place of the note that the study has."""
    with write_transaction(storage.engine, "optdet:notes") as connection:
        _write_note(connection, study_id, note)


def save_graph(storage: RDBStorage, study_id: int, graph_id: str, figure_json: str) -> bool:
    """A figure as Plotly's JSON, in place of the one of this id; whether it was another one.

    ``graph_id`` consists of letters, digits, ``-``, ``_`` and ``.``.
    """
    prefix = f"{_GRAPH}{graph_id}:"
    with read_transaction(storage.engine) as connection:
        if _texts(connection, prefix, study_id).get(study_id) == figure_json:
            return False
    with write_transaction(storage.engine, f"optdet:graph:{study_id}") as connection:
        _write_text(connection, study_id, prefix, figure_json)
    return True


def load_graph(storage: RDBStorage, study_id: int, graph_id: str) -> str | None:
    """The figure of this id as it was saved."""
    with read_transaction(storage.engine) as connection:
        return _texts(connection, f"{_GRAPH}{graph_id}:", study_id).get(study_id)


def _noted(connection: Connection, attributes: Sequence[str]) -> list[NotedStudy]:
    studies = connection.execute(text("SELECT study_id, study_name FROM studies ORDER BY study_id")).all()
    values: dict[int, dict[str, Any]] = defaultdict(dict)
    for key in attributes:
        query = text('SELECT study_id, value_json FROM study_user_attributes WHERE "key" = :key')
        for study_id, value_json in connection.execute(query, {"key": key}):
            values[study_id][key] = json.loads(value_json)
    noted = set(
        connection.scalars(
            text('SELECT study_id FROM study_system_attributes WHERE "key" = :key'), {"key": _NOTE_VERSION}
        )
    )
    notes = _texts(connection, _NOTE)
    return [
        NotedStudy(study_id, name, values[study_id], notes.get(study_id, "") if study_id in noted else None)
        for study_id, name in studies
    ]


def _texts(connection: Connection, prefix: str, study_id: int | None = None) -> dict[int, str]:
    """The texts under a prefix, by study; of one alone where that is given."""
    query = (
        'SELECT study_id, "key", value_json FROM study_system_attributes '
        'WHERE substr("key", 1, :length) = :prefix'
    )
    values: dict[str, Any] = {"length": len(prefix), "prefix": prefix}
    if study_id is not None:
        query, values = query + " AND study_id = :study", values | {"study": study_id}
    pieces: dict[int, dict[int, str]] = defaultdict(dict)
    for of_study, key, value_json in connection.execute(text(query), values):
        pieces[of_study][int(key.removeprefix(prefix))] = json.loads(value_json)
    return {
        of_study: "".join(of_text[number] for number in sorted(of_text))
        for of_study, of_text in pieces.items()
    }


def _write_note(connection: Connection, study_id: int, note: str) -> None:
    """With the next version: the dashboard refuses to save over a text that somebody has changed since."""
    version = connection.scalar(
        text('SELECT value_json FROM study_system_attributes WHERE study_id = :study AND "key" = :key'),
        {"study": study_id, "key": _NOTE_VERSION},
    )
    _write_text(connection, study_id, _NOTE, note)
    _set(connection, study_id, {_NOTE_VERSION: int(json.loads(version)) + 1 if version else 1})


def _write_text(connection: Connection, study_id: int, prefix: str, written: str) -> None:
    connection.execute(
        text(
            "DELETE FROM study_system_attributes "
            'WHERE study_id = :study AND substr("key", 1, :length) = :prefix'
        ),
        {"study": study_id, "length": len(prefix), "prefix": prefix},
    )
    pieces = [written[start : start + PIECE] for start in range(0, len(written), PIECE)]
    _set(connection, study_id, {f"{prefix}{number}": piece for number, piece in enumerate(pieces)})


def _set(connection: Connection, study_id: int, values: Mapping[str, Any]) -> None:
    """Nothing for a study that was deleted meanwhile: a new one may get its id."""
    there = connection.scalar(text("SELECT 1 FROM studies WHERE study_id = :study"), {"study": study_id})
    if not values or there is None:
        return
    rows = [{"study": study_id, "key": key, "value": json.dumps(value)} for key, value in values.items()]
    table = "study_system_attributes"
    connection.execute(text(f'DELETE FROM {table} WHERE study_id = :study AND "key" = :key'), rows)
    connection.execute(
        text(f'INSERT INTO {table} (study_id, "key", value_json) VALUES (:study, :key, :value)'),
        rows,
    )
