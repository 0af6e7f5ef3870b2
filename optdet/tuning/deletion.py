"""Deleting a study: everything that it left in the database and on disk.

First the study is retired, in the transaction that sees that nobody works on it: from then on no worker can.
Then its files go, its inner studies, our rows, and at last the study itself, whose name is what a deletion
that was cut off is repeated by. Files that another database of the same root names are left to that one,
wherever it lies.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path

import optuna

from optdet.errors import OptdetError
from optdet.inference.map_cache import maps_dir, read_note
from optdet.store.leases import Leases, LiveSlot
from optdet.store.name_lock import named_lock
from optdet.store.places import LOGS
from optdet.store.references import NOTHING, References
from optdet.store.registry import forget_study
from optdet.store.study_trials import RETIRED
from optdet.tuning import attributes as attr
from optdet.tuning.background import processes, runs_in
from optdet.tuning.links import write_links
from optdet.tuning.named_files import other_references, own_references
from optdet.tuning.removal import n_bytes, remove, remove_empty
from optdet.tuning.study import Database, all_studies, made_as


@dataclass(frozen=True, slots=True)
class Doomed:
    """What a study has: its inner studies, its files, and other databases that keep some of them."""

    name: str
    n_trials: int
    inner: tuple[str, ...]
    files: tuple[Path, ...]
    n_bytes: int
    kept_by: tuple[str, ...]


def find_doomed(database: Database, name: str) -> Doomed:
    """What would go with a study of this name; OptdetError for one that optdet did not make."""
    study = optuna.load_study(storage=database.storage, study_name=name)
    stored = study.user_attrs
    if attr.UUID not in stored and attr.INNER_OF not in stored:
        raise OptdetError(
            f"optdet did not make the study {name!r}",
            where=database.shown,
            fix="delete it with the program that made it, or in the dashboard",
        )
    former = made_as(name, stored)
    inner = [
        row.name for row in all_studies(database) if _is_trial_of(row.attributes.get(attr.INNER_OF), former)
    ]
    others = _others(database)
    files = list(_files(database, study, reduce(or_, others.values(), NOTHING)))
    kept_by = [other for other, references in others.items() if former in references.trials]
    return Doomed(
        name=name,
        n_trials=len(study.get_trials(deepcopy=False)),
        inner=tuple(inner),
        files=tuple(files),
        n_bytes=sum(map(n_bytes, files)),
        kept_by=tuple(kept_by),
    )


def delete_study(database: Database, name: str) -> Doomed:
    """Delete a study and say what went; OptdetError while workers hold trials of it, and where another
    database that keeps files in the root cannot be asked which.
    """
    _others(database)
    study = optuna.load_study(storage=database.storage, study_name=name)
    uuid, former = study.user_attrs.get(attr.UUID), made_as(name, study.user_attrs)
    if uuid is not None and not uuid.startswith(RETIRED):
        runs = runs_in(database.places, former, uuid)
        at_work = [run for run in runs if run.is_here and run.works]
        if at_work:
            raise OptdetError(
                f"{name} is run in the background by {processes(at_work)}",
                where="study delete",
                fix=f"stop it first: optdet study stop {name}",
            )
        live = Leases(database.storage, study._study_id, uuid).retire()
        if live:
            raise _at_work(name, live)
    doomed = find_doomed(database, name)  # not before: until then workers could add to it
    for path in doomed.files:
        remove(path)
    remove_empty([database.places.runs_of(former)])
    for inner in doomed.inner:
        with named_lock(database.storage, f"optdet:inner:{inner}"), contextlib.suppress(KeyError):
            optuna.delete_study(study_name=inner, storage=database.storage)
    if uuid is not None:
        forget_study(database.storage, uuid.removeprefix(RETIRED))
    optuna.delete_study(study_name=name, storage=database.storage)
    write_links(database.storage)
    return doomed


def _others(database: Database) -> dict[str, References]:
    """What other databases of the root name."""
    return other_references(database.places.root, database.storage)


def _is_trial_of(of: str | None, name: str) -> bool:
    """Whether STUDY:TRIAL, as inner studies and notes of maps have it, is a trial of ``name``, or all of them
    in one (oof)."""
    return of is not None and re.fullmatch(rf"{re.escape(name)}:(\d+|oof)", of) is not None


def _files(database: Database, study: optuna.Study, others: References) -> Iterator[Path]:
    """Run folders, artifacts and maps of a study that nobody else names."""
    places, name = database.places, made_as(study.study_name, study.user_attrs)
    names = {name, study.study_name}
    runs = places.runs_of(name)
    known = others.trials.get(name)
    kept = set() if known is None else {LOGS, *(places.run_dir(name, number).name for number in known)}
    for path in sorted(runs.iterdir()) if runs.is_dir() else []:
        if path.name not in kept:
            yield path
    own = own_references(database.storage)
    for artifact, owners in sorted(own.artifacts.items()):
        path = places.artifacts_dir / artifact
        if owners <= names and artifact not in others.artifacts and _is_inside(path, places.artifacts_dir):
            yield path
    for path in sorted(maps_dir(places.cache_dir).glob("*")):
        note = read_note(path)
        noted = note is not None and _is_trial_of(note.title, name)
        owners = own.maps.get(path.name, frozenset({name} if noted else ()))
        if owners and owners <= names and path.name not in others.maps:
            yield path


def _is_inside(path: Path, folder: Path) -> bool:
    """Whether a file is there, in the folder itself: its name comes from the database."""
    return path.parent == folder and path.is_file()


def _at_work(name: str, live: list[LiveSlot]) -> OptdetError:
    holders = ", ".join(
        f"process {slot.pid} on {slot.host} holds "
        + ("a trial that begins" if slot.trial_number is None else f"trial {slot.trial_number}")
        for slot in live
    )
    return OptdetError(
        f"workers are at work on {name}: {holders}",
        where="study delete",
        fix="stop them first (Ctrl-C); one on a host that is gone counts as stopped after a minute",
    )
