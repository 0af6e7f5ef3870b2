"""What the rows of a database name on disk: run folders, artifacts, kept maps.

Several databases may share a root, as a backup beside its original does. A file there belongs to nobody only
where none of them names it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from optuna.storages import RDBStorage
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.pool import NullPool

from optdet.store.engine import BUSY_TIMEOUT_S, database_errors, sqlite_file

Value = TypeVar("Value")
_ARTIFACT = "artifacts:"  # Optuna's prefix of a system attribute, before the artifact's id
_TO_STUDIES = (
    "AS attributes JOIN trials ON trials.trial_id = attributes.trial_id"
    " JOIN studies ON studies.study_id = trials.study_id"
)
_SQLITE_HEAD = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class References:
    """Trial numbers by study; the studies that an artifact, by its id, or a key of maps belongs to."""

    trials: dict[str, frozenset[int]]
    artifacts: dict[str, frozenset[str]]
    maps: dict[str, frozenset[str]]

    def __or__(self, other: References) -> References:
        return References(
            _united(self.trials, other.trials),
            _united(self.artifacts, other.artifacts),
            _united(self.maps, other.maps),
        )


NOTHING = References({}, {}, {})


def references_of(storage: RDBStorage, *, map_key: str) -> References:
    """Those of an open database; ``map_key`` is the trial attribute that holds the key of its maps."""
    return _read(storage.engine, map_key)


def references_of_neighbours(root: Path, storage: RDBStorage, *, map_key: str) -> dict[Path, References]:
    """Those of each other SQLite file in a root; OptdetError for one that cannot be read."""
    own = sqlite_file(storage)
    found = {}
    for path in sorted(root.iterdir()) if root.is_dir() else []:
        # The own file is left alone: closing it here would drop the locks that this process has on it.
        is_own = own is not None and own.exists() and path.samefile(own)
        if is_own or path.name.startswith(".") or not _is_sqlite(path):
            continue
        connect = partial(
            sqlite3.connect, f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S
        )
        found[path] = _read(create_engine(f"sqlite:///{path}", creator=connect, poolclass=NullPool), map_key)
    return found


def _is_sqlite(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_SQLITE_HEAD)) == _SQLITE_HEAD


def _read(engine: Engine, map_key: str) -> References:
    with database_errors(engine.url), engine.connect() as connection:
        if not inspect(connection).has_table("trials"):
            return NOTHING  # another program's
        trials = connection.execute(
            text(
                "SELECT studies.study_name, trials.number FROM studies"
                " LEFT JOIN trials ON trials.study_id = studies.study_id"
            )
        ).all()
        artifacts = connection.execute(
            text(
                f'SELECT attributes."key", studies.study_name FROM trial_system_attributes {_TO_STUDIES}'
                ' WHERE attributes."key" LIKE :pattern UNION'
                ' SELECT attributes."key", studies.study_name FROM study_system_attributes AS attributes'
                " JOIN studies ON studies.study_id = attributes.study_id"
                ' WHERE attributes."key" LIKE :pattern'
            ),
            {"pattern": f"{_ARTIFACT}%"},
        ).all()
        maps = connection.execute(
            text(
                "SELECT DISTINCT attributes.value_json, studies.study_name"
                f' FROM trial_user_attributes {_TO_STUDIES} WHERE attributes."key" = :key'
            ),
            {"key": map_key},
        ).all()
    return References(
        {name: numbers - {None} for name, numbers in _grouped(trials).items()},
        _grouped((key.removeprefix(_ARTIFACT), name) for key, name in artifacts),
        _grouped((json.loads(key), name) for key, name in maps),
    )


def _grouped(pairs: Iterable[Any]) -> dict[str, frozenset[Any]]:
    grouped: dict[str, set[Any]] = {}
    for key, value in pairs:
        grouped.setdefault(key, set()).add(value)
    return {key: frozenset(values) for key, values in grouped.items()}


def _united(
    first: Mapping[str, frozenset[Value]], second: Mapping[str, frozenset[Value]]
) -> dict[str, frozenset[Value]]:
    empty: frozenset[Value] = frozenset()
    return {key: first.get(key, empty) | second.get(key, empty) for key in {**first, **second}}
