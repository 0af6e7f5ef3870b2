"""Files that optuna-dashboard shows beside a study or a trial: Optuna's artifacts, each name once."""

from __future__ import annotations

import json
import mimetypes
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import optuna
from optuna.artifacts import ArtifactMeta, FileSystemArtifactStore
from optuna.storages import RDBStorage

from optdet.atomic import atomic_file
from optdet.errors import OptdetError
from optdet.store.attribute_rows import replace_study_attributes, set_system_attributes
from optdet.store.places import Places
from optdet.tuning.named_files import other_references, own_references

_BYTES = "application/octet-stream"
_PREFIX = "artifacts:"


def attached_names(storage: RDBStorage, owner: optuna.Study | optuna.Trial) -> frozenset[str]:
    return frozenset(meta.filename for meta in attached(storage, owner))


def attached(storage: RDBStorage, owner: optuna.Study | optuna.Trial) -> list[ArtifactMeta]:
    """As Optuna's ``get_all_artifact_meta``, which takes no notice that the dashboard leaves a null of a file
    that was deleted there."""
    if isinstance(owner, optuna.Trial):
        stored = storage.get_trial_system_attrs(owner._trial_id)
    else:
        stored = storage.get_study_system_attrs(owner._study_id)
    described = [json.loads(value) for name, value in stored.items() if name.startswith(_PREFIX)]
    return [ArtifactMeta(**meta) for meta in described if meta is not None]


def attach(
    storage: RDBStorage, owner: optuna.Study | optuna.Trial, folder: Path, paths: Sequence[Path]
) -> None:
    """Copy the files into the ``folder`` of artifacts, under names of Optuna's; a name that is attached
    already is left alone. A trial takes them until it is told, a study always.

    As Optuna does, they are registered before they are copied, but all of a trial's at once: where a process
    was killed in between, they are copied when it goes on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    there = {meta.filename: meta for meta in attached(storage, owner)}
    new = {path.name: _described(path.name) for path in paths if path.name not in there}
    _register(storage, owner, list(new.values()))
    store = FileSystemArtifactStore(str(folder))
    for path in paths:
        try:
            _complete(store, folder / (there | new)[path.name].artifact_id, path)
        except OSError as error:
            raise _not_copied(path, folder, error) from error


def attach_anew(
    storage: RDBStorage, study: optuna.Study, places: Places, path: Path, *, name: str | None = None
) -> None:
    """Attach a file to a study in place of the one that has its name there, or the given ``name``.

    OptdetError where it cannot be copied, or another database of the root cannot be asked whether it shows
    the former one.

    Whoever looks meanwhile, or after a kill, finds the former or the new one, whole. What a kill leaves of
    them goes with `study clean`.
    """
    folder, meta = places.artifacts_dir, _described(name or path.name)
    folder.mkdir(parents=True, exist_ok=True)
    if path.read_bytes() in _contents(storage, study, folder, meta.filename):
        return
    try:
        with atomic_file(folder / meta.artifact_id) as file, path.open("rb") as read:
            shutil.copyfileobj(read, file)
        gone = replace_study_attributes(
            storage,
            study._study_id,
            _PREFIX,
            _attributes([meta]),
            replaces=lambda stored: (json.loads(stored) or {}).get("filename") == meta.filename,
        )
        # Until then nobody named the file: a `study clean` at this moment has removed it.
        _complete(FileSystemArtifactStore(str(folder)), folder / meta.artifact_id, path)
    except OSError as error:
        raise _not_copied(path, folder, error) from error
    _remove_unnamed(storage, places, [key.removeprefix(_PREFIX) for key in gone])


def _contents(storage: RDBStorage, study: optuna.Study, folder: Path, name: str) -> list[bytes]:
    """The file that is attached under a name, if it is there."""
    paths = [folder / meta.artifact_id for meta in attached(storage, study) if meta.filename == name]
    return [path.read_bytes() for path in paths if path.is_file()] if len(paths) == 1 else []


def _remove_unnamed(storage: RDBStorage, places: Places, artifact_ids: Sequence[str]) -> None:
    """A copy of a study, also one in another database, shows the same files."""
    known = own_references(storage)
    for others in other_references(places.root, storage).values():
        known |= others
    for artifact_id in artifact_ids:
        if artifact_id not in known.artifacts:
            (places.artifacts_dir / artifact_id).unlink(missing_ok=True)


def _not_copied(path: Path, folder: Path, error: OSError) -> OptdetError:
    return OptdetError(
        f"{path.name} cannot be copied there ({error.strerror})",
        where=str(folder),
        fix="check the folder and the free space",
    )


def _described(name: str) -> ArtifactMeta:
    mimetype, encoding = mimetypes.guess_type(name)
    return ArtifactMeta(str(uuid.uuid4()), name, mimetype or _BYTES, encoding)


def _register(
    storage: RDBStorage, owner: optuna.Study | optuna.Trial, artifacts: Sequence[ArtifactMeta]
) -> None:
    values = _attributes(artifacts)
    if isinstance(owner, optuna.Trial):
        set_system_attributes(storage, owner._trial_id, values)
        return
    for name, value in values.items():
        storage.set_study_system_attr(owner._study_id, name, value)


def _attributes(artifacts: Sequence[ArtifactMeta]) -> dict[str, str]:
    """As Optuna keeps them."""
    return {f"{_PREFIX}{meta.artifact_id}": json.dumps(asdict(meta)) for meta in artifacts}


def _complete(store: FileSystemArtifactStore, kept: Path, path: Path) -> None:
    if not kept.exists() or kept.stat().st_size < path.stat().st_size:
        with path.open("rb") as file:
            store.write(kept.name, file)
