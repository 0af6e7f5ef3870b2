"""A study in the database: found, opened. :mod:`optdet.tuning.study_creation` makes one.

What defines it (config, space, queue, ...) is stored with it, so that any worker can go on from the database
alone.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from optdet.errors import OptdetError
from optdet.store.engine import open_storage
from optdet.store.places import Places
from optdet.store.study_index import StudyRow, list_studies
from optdet.store.study_trials import RETIRED
from optdet.store.url import root_of, shown_url, storage_url
from optdet.study_config import StudyConfig
from optdet.tuning import attributes as attr
from optdet.tuning.pruner import build_pruner
from optdet.tuning.sampler import build_sampler
from optdet.validation import validate


@dataclass(frozen=True, slots=True)
class Database:
    """An open storage and the places that belong to it."""

    storage: RDBStorage
    url: str
    places: Places

    @property
    def shown(self) -> str:
        """The URL for people to see, without its password."""
        return shown_url(self.url)


@dataclass(frozen=True, slots=True)
class OpenStudy:
    """A study that can be worked on."""

    database: Database
    study: optuna.Study
    config: StudyConfig
    uuid: str
    data_root: Path

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def places(self) -> Places:
        return self.database.places

    @property
    def storage(self) -> RDBStorage:
        return self.database.storage

    @property
    def study_id(self) -> int:
        return int(self.study._study_id)

    def n_finished(self) -> int:
        """Complete and pruned trials."""
        return len(self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)))


@dataclass(frozen=True, slots=True)
class TrialOrigin:
    """A trial that something was made of, known also where its study was renamed or another has its name."""

    study: str
    uuid: str
    trial: int


def open_database(storage: str | None, root: str | None = None, *, create: bool = False) -> Database:
    """The storage that a command works on; ``storage`` is a URL, a path, or None for the usual place."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # what is done is said by the commands
    url = storage_url(storage)
    opened = open_storage(url, create=create)
    return Database(opened, url, Places(root_of(url, root)))


def is_retired(stored: Mapping[str, Any]) -> bool:
    """Whether a study's deletion has begun, by its user attributes."""
    return str(stored.get(attr.UUID, "")).startswith(RETIRED)


def require_whole(stored: Mapping[str, Any], name: str) -> None:
    """OptdetError for a study that is half deleted."""
    if is_retired(stored):
        raise OptdetError(
            f"the deletion of {name!r} was not finished", fix=f"finish it: optdet study delete {name}"
        )


def find_study(database: Database, name: str | None) -> str:
    """A study's name: the given one if it exists, else the newest unfinished, else the newest. One that was
    renamed in the dashboard is found by both its names."""
    rows = outer_studies(database)
    if name is not None:
        known = {row.name: row.name for row in list_studies(database.storage)}
        known = {made_as(row.name, row.attributes): row.name for row in rows} | known
        if name not in known:
            raise _unknown(name, [row.name for row in rows], database.shown)
        return known[name]
    if not rows:
        raise OptdetError("no study there yet", where=database.shown, fix="make one: optdet study create")
    unfinished = [row for row in rows if row.n_finished < n_wanted(row)]
    return (unfinished or rows)[-1].name


def _unknown(name: str, known: Sequence[str], where: str) -> OptdetError:
    of_trial, of_file = name.partition(":")[0], PurePath(name).stem
    if of_trial in known:
        return OptdetError("a study is asked for, not one of its trials", where=name, fix=f"write {of_trial}")
    if of_file in known:
        return OptdetError("the name of a study is asked for, not a file", where=name, fix=f"write {of_file}")
    near = difflib.get_close_matches(name, known, n=1)
    fix = f"did you mean {near[0]}?" if near else "see `optdet study list`"
    return OptdetError(f"no study named {name!r}", where=where, fix=fix)


def outer_studies(database: Database) -> list[StudyRow]:
    """Studies that people made, oldest first: without the inner ones of threshold tuning."""
    return [
        row
        for row in all_studies(database)
        if attr.INNER_OF not in row.attributes
        and attr.READY in row.attributes
        and not is_retired(row.attributes)
    ]


def all_studies(database: Database) -> list[StudyRow]:
    return list_studies(database.storage, attributes=(attr.INNER_OF, attr.DEFINITION, attr.READY, attr.UUID))


def made_as(name: str, stored: Mapping[str, Any]) -> str:
    """The name that a study was made with, by its name and its user attributes: its files and inner studies
    have that. The same as long as nobody renamed it, as the dashboard can."""
    return str(stored.get(attr.DEFINITION, {}).get("name", name))


def n_wanted(row: StudyRow) -> int:
    """Finished trials that make a study full; for an inner study those that it has."""
    definition = row.attributes.get(attr.DEFINITION)
    return int(definition["trials"]) if definition else row.n_finished


def load_study(database: Database, name: str, *, data_root: Path | None = None) -> OpenStudy:
    """Open a study to work on it or to read it; ``data_root`` replaces the stored one."""
    study = optuna.load_study(storage=database.storage, study_name=name)
    stored = study.user_attrs
    require_whole(stored, name)
    if attr.INNER_OF in stored or not stored.get(attr.READY):
        fix = (
            "give the name of the study that it belongs to"
            if attr.INNER_OF in stored
            else f"run `{'copy' if attr.COPIED_FROM in stored else 'create'}` again"
        )
        raise OptdetError(f"{name!r} is not a study of optdet's, or was not made completely", fix=fix)
    config = validate(StudyConfig, stored[attr.DEFINITION], f"study {name}")
    study.sampler = build_sampler(config)
    study.pruner = build_pruner(config.pruner, config.base_config().train.epochs)
    root = data_root or (database.places.root / stored[attr.DATA_ROOT])
    return OpenStudy(database, study, config, stored[attr.UUID], Path(os.path.abspath(root)))
