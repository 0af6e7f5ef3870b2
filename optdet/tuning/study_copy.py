"""A study moved to another database, or copied under another name: rows, run folders, attached files.

The files come first, into a folder beside their place; then all rows in one transaction, as a study that is
not ready; then the folder gets its name, and the study is ready. A copy that is killed on the way has changed
nothing that can be used, and the same command makes it again. What can be made again is not copied: caches,
synthetic images; nor are logs, which are of runs of the original.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.storages import RDBStorage

from optdet.atomic import SUFFIX, atomic_file
from optdet.errors import OptdetError
from optdet.store.leases import Leases
from optdet.store.name_lock import named_lock
from optdet.store.places import LOGS, Places, valid_study_name
from optdet.store.registry import forget_study
from optdet.store.root_users import note_database
from optdet.store.study_index import StudyRow, list_studies
from optdet.store.study_rows import StudyRows, read_rows, write_rows
from optdet.tuning import attributes as attr
from optdet.tuning.links import write_links
from optdet.tuning.named_files import refuse_former_name
from optdet.tuning.staging import staged_name, staging_lock
from optdet.tuning.study import Database, OpenStudy
from optdet.tuning.submission_copy import copy_submissions


@dataclass(frozen=True, slots=True)
class Copied:
    """What came over. ``shares_files``: the copy works in the same run folders as the original, which stay
    as long as one of the two names them."""

    name: str
    n_trials: int
    n_inner_studies: int
    n_submissions: int
    shares_files: bool


def copy_study(study: OpenStudy, target: Database, name: str | None = None) -> Copied:
    """A study in another database or under another ``name``; OptdetError where that is taken, where workers
    run the study, and where it is worked on meanwhile."""
    name, new_uuid = valid_study_name(name or study.name), str(uuid.uuid4())
    _refuse_workers(study)
    staged = target.places.runs_dir / staged_name(name)
    staged.parent.mkdir(parents=True, exist_ok=True)
    for database in (study.database, target):
        note_database(database.places.root, database.storage)
    with staging_lock(staged):
        with named_lock(target.storage, f"optdet:create:{name}"):
            _clear_or_refuse(target, name, staged)
        rows = _read(study)
        shares_files = (name, target.places.root.resolve()) == (study.name, study.places.root.resolve())
        if not shares_files:
            _stage_runs(study, rows[0], target.places.runs_of(name), staged)
            _marker(staged, new_uuid).touch()
        _copy_artifacts(rows, study.places, target.places)
        _refuse_workers(study)
        if _read(study) != rows:
            raise OptdetError(
                "the study was worked on while it was copied",
                where=study.name,
                fix="run the same command again",
            )
        with named_lock(target.storage, f"optdet:create:{name}"):
            write_rows(target.storage, _as_copy(rows, study, target, name, new_uuid))
            uuids = {str(row.attributes.get(attr.UUID)) for row in _all_studies(target.storage)}
            n_submissions = copy_submissions(study, target, name=name, uuid=new_uuid, known_uuids=uuids)
            if not shares_files:
                os.rename(staged, target.places.runs_of(name))
            copy = optuna.load_study(storage=target.storage, study_name=name)
            copy.set_user_attr(attr.READY, True)
        _marker(target.places.runs_of(name), new_uuid).unlink(missing_ok=True)
        write_links(target.storage)
    return Copied(name, len(rows[0].trials), len(rows) - 1, n_submissions, shares_files)


def _refuse_workers(study: OpenStudy) -> None:
    alive = [slot for slot in Leases(study.storage, study.study_id, study.uuid).live() if slot.alive]
    if alive:
        workers = ", ".join(f"process {slot.pid} on {slot.host}" for slot in alive)
        raise OptdetError(f"{workers} works on it", where=f"study {study.name}", fix="stop it, then copy")


def _clear_or_refuse(target: Database, name: str, staged: Path) -> None:
    """Remove what a copy that was cut short has left; OptdetError where the name is taken otherwise."""
    found = {row.name: row for row in _all_studies(target.storage)}
    taken = found.get(name)
    if taken is not None:
        if attr.READY in taken.attributes or attr.COPIED_FROM not in taken.attributes:
            raise OptdetError(
                f"a study named {name!r} is there already",
                where=target.shown,
                fix="give the copy another name with --name",
            )
        half_uuid, runs = taken.attributes[attr.UUID], target.places.runs_of(name)
        if _marker(runs, half_uuid).exists():
            shutil.rmtree(runs)
        for inner in _inner_studies(found.values(), name):
            optuna.delete_study(storage=target.storage, study_name=inner.name)
        forget_study(target.storage, half_uuid)
        optuna.delete_study(storage=target.storage, study_name=name)
    refuse_former_name(target.storage, target.places, name)
    shutil.rmtree(staged, ignore_errors=True)


def _read(study: OpenStudy) -> list[StudyRows]:
    """The study's rows, then those of its inner studies."""
    inner = [
        row
        for row in _inner_studies(_all_studies(study.storage), study.name)
        # What another study of its name left, which was deleted in the dashboard, is not its own.
        if row.attributes.get(attr.INNER_OF_UUID, study.uuid) == study.uuid
    ]
    wanted: dict[int, tuple[str, str | None]] = {study.study_id: (study.name, study.uuid)}
    return read_rows(study.storage, wanted | {row.study_id: (row.name, None) for row in inner})


def _all_studies(storage: RDBStorage) -> list[StudyRow]:
    names = (attr.INNER_OF, attr.INNER_OF_UUID, attr.READY, attr.UUID, attr.COPIED_FROM)
    return list_studies(storage, attributes=names)


def _marker(runs: Path, copy_uuid: str) -> Path:
    """Says of which half-made copy a run folder is: another study's must not be removed for it."""
    return runs / f".copied.{copy_uuid}"


def _inner_studies(rows: Iterable[StudyRow], name: str) -> list[StudyRow]:
    """Of one study: the threshold tuning of its trials, named ``NAME:NUMBER`` there."""
    return [row for row in rows if str(row.attributes.get(attr.INNER_OF)).rpartition(":")[0] == name]


def _stage_runs(study: OpenStudy, rows: StudyRows, final: Path, staged: Path) -> None:
    source = study.places.runs_of(study.name)
    if final.exists():
        raise OptdetError(
            "the run folder of another study", where=str(final), fix="name another --root, or --name"
        )
    if source.is_dir():
        shutil.copytree(source, staged, ignore=shutil.ignore_patterns(f".*{SUFFIX}", LOGS))
    elif not rows.has_checkpoints:
        staged.mkdir()
    else:
        raise OptdetError(
            "the study's run folder is not there", where=str(source), fix="name its root with --from-root"
        )


def _copy_artifacts(studies: list[StudyRows], source: Places, target: Places) -> None:
    """Files that trials show in the dashboard; their names are unique, so one that is there is the same."""
    if source.artifacts_dir.resolve() == target.artifacts_dir.resolve():
        return
    target.artifacts_dir.mkdir(parents=True, exist_ok=True)
    for rows in studies:
        for name in rows.artifact_ids():
            original, copy = source.artifacts_dir / name, target.artifacts_dir / name
            if original.is_file() and not copy.exists():
                with atomic_file(copy) as file, original.open("rb") as read:
                    shutil.copyfileobj(read, file)


def _as_copy(
    rows: list[StudyRows], study: OpenStudy, target: Database, name: str, new_uuid: str
) -> list[StudyRows]:
    """The rows as the target has them: names, roots and paths changed, everything else as it was."""
    outer, *inner = rows
    config = study.config.model_copy(update={"name": name})
    changed = outer.changed(
        name=name,
        user_attrs={
            attr.UUID: new_uuid,
            attr.DEFINITION: config.as_dict(),
            attr.DATA_ROOT: Path(os.path.relpath(study.data_root, target.places.root.absolute())).as_posix(),
            attr.COPIED_FROM: study.uuid,
        },
        without=(attr.READY,),
    )
    old_runs, new_runs = f"runs/{study.name}/", f"runs/{name}/"

    def move(path: str) -> str:
        return new_runs + path.removeprefix(old_runs) if path.startswith(old_runs) else path

    return [
        changed.moved(new_uuid, attr.CHECKPOINT, move),
        *(_inner_copy(one, study, name, new_uuid) for one in inner),
    ]


def _inner_copy(rows: StudyRows, study: OpenStudy, name: str, new_uuid: str) -> StudyRows:
    number = rows.user_attr(attr.INNER_OF).rpartition(":")[2]
    own = rows.name.removeprefix(study.name)  # as ".t0007.postprocess"
    of = {attr.INNER_OF: f"{name}:{number}", attr.INNER_OF_UUID: new_uuid}
    return rows.changed(name=name + own, user_attrs=of)
