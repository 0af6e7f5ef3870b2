"""What a root no longer needs: what it is, how much, and its removal.

Files are listed before the database is read, and a trial or a picture is registered before its files are
made: so what is made meanwhile is never taken for something that nobody knows.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path

import optuna
from optuna.trial import TrialState

from optdet.atomic import SUFFIX
from optdet.config import CacheConfig
from optdet.in_use import last_written, remove_unused
from optdet.inference.cache_listing import CacheEntry, evict, list_cache
from optdet.store.engine import sqlite_file
from optdet.store.name_lock import named_lock
from optdet.store.owners import process_started
from optdet.store.places import LOGS, Places
from optdet.store.references import NOTHING, References
from optdet.store.registry import forget_study, stored_studies
from optdet.store.study_trials import RETIRED
from optdet.tuning import attributes as attr
from optdet.tuning.background import read_run, run_folders
from optdet.tuning.links import write_links
from optdet.tuning.named_files import other_references, own_references
from optdet.tuning.ranking import best_trials
from optdet.tuning.removal import n_bytes, remove, remove_empty
from optdet.tuning.staging import is_staged_for_nobody, staged_name
from optdet.tuning.study import Database, OpenStudy, all_studies, load_study, made_as, outer_studies

MAPS, RUNS, PICTURES, OLD_LOGS, UNFINISHED, BEYOND, ROWS = (
    "maps of trials that are not among the best",
    "run folders of trials that are gone",
    "pictures of trials that are gone",
    "logs of runs in the background that ended before the last",
    "files that a killed process left unfinished",
    "maps and images beyond cache.max_gb",
    "rows and inner studies of studies that are gone",
)
_ABANDONED_AFTER_S = 600.0  # without a write, and its writer not running here, a file will not be finished
_TRIAL = re.compile(r"(.+):(\d+|oof)")  # a trial, or the pooled maps of a study of folds
_RUN_DIR = re.compile(r"t(\d{4,})")
_WRITER = re.compile(r"\.(\d+)\.[0-9a-f]{8}\.tmp$")


@dataclass(frozen=True, slots=True)
class Waste:
    """One thing that is not needed: a file or folder, or for rows the study that they were of."""

    what: str
    name: str
    n_bytes: int


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was removed, or would be; ``unknown`` was left, as a database elsewhere might know it."""

    waste: tuple[Waste, ...]
    unknown: tuple[Path, ...]


def clean(
    database: Database, name: str | None = None, *, dry_run: bool = False, unknown: bool = False
) -> Cleaned:
    """Remove what is not needed: of one study, or of the whole root. What is in use stays.

    What another database names that lies in the root, or is noted there, stays too. Run folders and pictures
    that nobody knows go where the root is the database's own folder, or where ``unknown`` says so: any other
    may serve a database that an earlier optdet did not note.
    """
    places = database.places
    if name is not None:
        name = load_study(database, name).name  # that of its files, whatever it was renamed to
    entries = list_cache(places.cache_dir)
    runs, pictures = _run_dirs(places, name), _pictures(places) if name is None else []
    logs = _ended_logs(places, name)
    unfinished = [path for path in _unfinished(places, name) if _is_abandoned(path)]
    own = own_references(database.storage)
    known = other_references(places.root, database.storage)
    others = reduce(or_, known.values(), NOTHING)
    runs = [path for path in runs if not _is_known(path, own | others)]
    pictures = [path for path in pictures if path.name not in (own | others).artifacts]
    nobodys = {path for path in logs if path.parent.parent.name not in (own | others).trials}
    newest = {path.parent: path for path in logs}  # the last of each
    logs = [path for path in logs if path in nobodys or path != newest[path.parent]]
    is_certain = unknown or _is_own_root(database)
    studies = [load_study(database, row.name) for row in outer_studies(database)]
    maps = [entry.path for entry in _idle_maps(entries, studies, own, others, name)]
    waste = [
        *_remove(MAPS, maps, dry_run=dry_run),
        *_remove(RUNS, runs if is_certain else [], dry_run=dry_run),
        *_remove(PICTURES, pictures if is_certain else [], dry_run=dry_run),
        *_remove(OLD_LOGS, [path for path in logs if is_certain or path not in nobodys], dry_run=dry_run),
        *_remove(UNFINISHED, unfinished, dry_run=dry_run),
    ]
    if not dry_run:
        remove_empty({path.parent for path in logs})
        remove_empty({path.parent for path in runs} | {path.parent.parent for path in nobodys})
    if name is None:
        gone = {each.name for each in waste}
        left = [entry for entry in list_cache(places.cache_dir) if str(entry.path) not in gone]
        bounds = [study.config.config.cache.max_gb for study in studies]
        evicted = evict(left, max(bounds, default=CacheConfig().max_gb), only_say=dry_run)
        waste += [Waste(BEYOND, str(entry.path), entry.n_bytes) for entry in evicted]
        waste += _drop_rows(database, dry_run=dry_run)
    return Cleaned(tuple(waste), () if is_certain else (*runs, *pictures, *sorted(nobodys)))


def _remove(what: str, paths: Sequence[Path], *, dry_run: bool) -> Iterator[Waste]:
    for path in paths:
        size = n_bytes(path)
        if remove_unused(path, _nothing if dry_run else remove):
            yield Waste(what, str(path), size)


def _nothing(_path: Path) -> None:
    """Of what would be removed."""


def _is_own_root(database: Database) -> bool:
    file = sqlite_file(database.storage)
    return file is not None and file.parent.resolve() == database.places.root.resolve()


def _study_dirs(places: Places, name: str | None) -> list[Path]:
    if not places.runs_dir.is_dir():
        return []
    studies = places.runs_dir.iterdir() if name is None else [places.runs_of(name)]
    return [study for study in sorted(studies) if study.is_dir() and not study.name.startswith(".")]


def _run_dirs(places: Places, name: str | None) -> list[Path]:
    return [
        path
        for study in _study_dirs(places, name)
        for path in sorted(study.iterdir())
        if _RUN_DIR.fullmatch(path.name)
    ]


def _ended_logs(places: Places, name: str | None) -> list[Path]:
    """Folders of runs in the background that do not work, oldest first in each study."""
    return [
        folder
        for study in _study_dirs(places, name)
        for folder in run_folders(study / LOGS)
        if _has_ended(folder)
    ]


def _has_ended(folder: Path) -> bool:
    run = read_run(folder)
    return _is_abandoned(folder) if run is None else not run.works


def _is_known(run_dir: Path, known: References) -> bool:
    number = int(run_dir.name.removeprefix("t"))
    return number in known.trials.get(run_dir.parent.name, frozenset())


def _pictures(places: Places) -> list[Path]:
    """Those that were written whole."""
    folder = places.artifacts_dir
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if path.is_file() and not path.name.endswith(SUFFIX))


def _unfinished(places: Places, name: str | None) -> Iterator[Path]:
    if name is not None:
        yield from places.runs_of(name).rglob(f".*{SUFFIX}")
        return
    for folder in (places.runs_dir, places.cache_dir, places.data_dir, places.artifacts_dir):
        yield from folder.rglob(f".*{SUFFIX}")
    yield from places.root.glob(".smoke-*")
    yield from (copy for copy in places.runs_dir.glob(staged_name("*")) if is_staged_for_nobody(copy))


def _is_abandoned(path: Path) -> bool:
    writer = _WRITER.search(path.name)
    if writer is not None and process_started(int(writer[1])) is not None:
        return False
    inside = [path, *path.rglob("*")]
    try:
        return time.time() - max(map(last_written, inside)) > _ABANDONED_AFTER_S
    except FileNotFoundError:
        return False  # just finished


def _idle_maps(
    entries: Sequence[CacheEntry],
    studies: Sequence[OpenStudy],
    own: References,
    others: References,
    name: str | None,
) -> Iterator[CacheEntry]:
    """Maps that belong to trials, none of which is among the best of its study or still at work.

    A key belongs to the trials that ended with it; one without any to the trial that its note names, as the
    maps of a pruned trial, or of another device. Maps of other sources are bounded by ``cache.max_gb`` alone.
    """
    best_keys, needed = set(), set()
    for study in studies:
        best = best_trials(study, study.config.keep.maps)
        best_keys |= {trial.user_attrs.get(attr.MAP_KEY) for trial in best}
        at_work = study.study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING))
        needed |= {f"{study.name}:{trial.number}" for trial in (*best, *at_work)}
    for entry in entries:
        noted = _TRIAL.fullmatch(entry.source or "")
        owners = own.maps.get(entry.key) or (frozenset({noted[1]}) if noted else frozenset())
        is_needed = entry.key in best_keys or entry.source in needed
        is_others = entry.key in others.maps or bool(owners & (others.trials.keys() - own.trials.keys()))
        if (
            entry.kind == "maps"
            and owners
            and not is_needed
            and not is_others
            and (name is None or name in owners)
        ):
            yield entry


def _drop_rows(database: Database, *, dry_run: bool) -> list[Waste]:
    """What a study leaves in the database that was deleted in the dashboard, or by Optuna."""
    stored = stored_studies(database.storage)  # before the studies: a new one has none yet
    rows = all_studies(database)
    known = {str(row.attributes.get(attr.UUID, "")).removeprefix(RETIRED) for row in rows}
    names = {row.name for row in rows} | {made_as(row.name, row.attributes) for row in rows}
    inner = []
    for row in rows:
        of = _TRIAL.fullmatch(str(row.attributes.get(attr.INNER_OF, "")))
        if of is not None and of[1] not in names:
            inner.append(row.name)
    if not dry_run:
        for uuid in stored - known:
            forget_study(database.storage, uuid)
        for name in inner:
            with named_lock(database.storage, f"optdet:inner:{name}"), contextlib.suppress(KeyError):
                optuna.delete_study(study_name=name, storage=database.storage)
        write_links(database.storage)
    return [Waste(ROWS, gone, 0) for gone in (*sorted(stored - known), *inner)]
