"""What the rows of a database name on disk: run folders, artifacts, kept maps.

Several databases may share a root, as a backup beside its original does. A file there belongs to nobody only
where none of them names it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from optuna.storages import RDBStorage
from sqlalchemy import Engine, inspect, text

from optdet.store.engine import database_errors
from optdet.store.root_users import other_databases

Value = TypeVar("Value")
_ARTIFACT = "artifacts:"  # Optuna's prefix of a system attribute, before the artifact's id
_TO_STUDIES = (
    "AS attributes JOIN trials ON trials.trial_id = attributes.trial_id"
    " JOIN studies ON studies.study_id = trials.study_id"
)


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


def references_of_others(root: Path, storage: RDBStorage, *, map_key: str) -> dict[str, References]:
    """Those of each other database that uses a root; OptdetError for one that cannot be read."""
    return {name: _read(engine, map_key) for name, engine in other_databases(root, storage)}


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
