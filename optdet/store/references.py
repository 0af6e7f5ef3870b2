"""What the rows of a database name on disk: run folders, artifacts, kept maps.

Several databases may share a root, as a backup beside its original does. A file there belongs to nobody only
where none of them names it.

A study that was renamed in the dashboard has its files under the name that it was made with, which its
definition keeps: it counts under both.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from optuna.storages import RDBStorage
from sqlalchemy import Engine, inspect, text

from optdet.store.engine import database_errors, read_transaction
from optdet.store.root_users import other_databases

Value = TypeVar("Value")
_ARTIFACT = "artifacts:"  # Optuna's prefix of a system attribute, before the artifact's id
_TO_TRIALS = "AS attributes JOIN trials ON trials.trial_id = attributes.trial_id"


class ReferenceKeys(NamedTuple):
    """Names of user attributes: a trial's key of its maps, and a study's definition."""

    maps: str
    definition: str


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


def references_of(storage: RDBStorage, keys: ReferenceKeys) -> References:
    """Those of an open database."""
    return _read(storage.engine, keys)


def references_of_others(root: Path, storage: RDBStorage, keys: ReferenceKeys) -> dict[str, References]:
    """Those of each other database that uses a root; OptdetError for one that cannot be read."""
    return {name: _read(engine, keys) for name, engine in other_databases(root, storage)}


def n_studies_of_artifact(storage: RDBStorage, artifact_id: str) -> int:
    """How many studies of an open database have a file, of their own or of a trial."""
    query = text(
        f"SELECT COUNT(*) FROM (SELECT trials.study_id FROM trial_system_attributes {_TO_TRIALS}"
        ' WHERE attributes."key" = :key UNION'
        ' SELECT study_id FROM study_system_attributes WHERE "key" = :key) AS owners'
    )
    with read_transaction(storage.engine) as connection:
        return int(connection.scalar(query, {"key": f"{_ARTIFACT}{artifact_id}"}) or 0)


def _read(engine: Engine, keys: ReferenceKeys) -> References:
    with database_errors(engine.url), engine.connect() as connection:
        if not inspect(connection).has_table("trials"):
            return NOTHING  # another program's
        studies = connection.execute(text("SELECT study_id, study_name FROM studies")).all()
        defined = connection.execute(
            text('SELECT study_id, value_json FROM study_user_attributes WHERE "key" = :key'),
            {"key": keys.definition},
        ).all()
        trials = connection.execute(text("SELECT study_id, number FROM trials")).all()
        artifacts = connection.execute(
            text(
                f'SELECT attributes."key", trials.study_id FROM trial_system_attributes {_TO_TRIALS}'
                ' WHERE attributes."key" LIKE :pattern UNION'
                ' SELECT attributes."key", attributes.study_id FROM study_system_attributes AS attributes'
                ' WHERE attributes."key" LIKE :pattern'
            ),
            {"pattern": f"{_ARTIFACT}%"},
        ).all()
        maps = connection.execute(
            text(
                "SELECT DISTINCT attributes.value_json, trials.study_id"
                f' FROM trial_user_attributes {_TO_TRIALS} WHERE attributes."key" = :key'
            ),
            {"key": keys.maps},
        ).all()
    names: defaultdict[int, set[str]] = defaultdict(set)
    for study_id, name in (*studies, *((each, json.loads(value)["name"]) for each, value in defined)):
        names[study_id].add(name)
    numbers = _grouped(trials)
    of_name: defaultdict[str, frozenset[int]] = defaultdict(frozenset)
    for study_id, called in names.items():
        for name in called:
            of_name[name] |= numbers.get(study_id, frozenset())
    return References(
        dict(of_name),
        _grouped((key.removeprefix(_ARTIFACT), name) for key, study in artifacts for name in names[study]),
        _grouped((json.loads(key), name) for key, study in maps for name in names[study]),
    )


def _grouped(pairs: Iterable[Any]) -> dict[Any, frozenset[Any]]:
    grouped: dict[Any, set[Any]] = {}
    for key, value in pairs:
        grouped.setdefault(key, set()).add(value)
    return {key: frozenset(values) for key, values in grouped.items()}


def _united(
    first: Mapping[str, frozenset[Value]], second: Mapping[str, frozenset[Value]]
) -> dict[str, frozenset[Value]]:
    empty: frozenset[Value] = frozenset()
    return {key: first.get(key, empty) | second.get(key, empty) for key in {**first, **second}}
