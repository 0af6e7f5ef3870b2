"""Files that optuna-dashboard shows beside a study or a trial: Optuna's artifacts, each name once."""

from __future__ import annotations

import json
import mimetypes
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import optuna
from optuna.artifacts import ArtifactMeta, FileSystemArtifactStore, get_all_artifact_meta
from optuna.storages import RDBStorage

from optdet.errors import OptdetError
from optdet.store.attribute_rows import set_system_attributes

_BYTES = "application/octet-stream"


def attached_names(storage: RDBStorage, owner: optuna.Study | optuna.Trial) -> frozenset[str]:
    return frozenset(meta.filename for meta in get_all_artifact_meta(owner, storage=storage))


def attach(
    storage: RDBStorage, owner: optuna.Study | optuna.Trial, folder: Path, paths: Sequence[Path]
) -> None:
    """Copy the files into the ``folder`` of artifacts, under names of Optuna's; a name that is attached
    already is left alone. A trial takes them until it is told, a study always.

    As Optuna does, they are registered before they are copied, but all of a trial's at once: where a process
    was killed in between, they are copied when it goes on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    there = {meta.filename: meta for meta in get_all_artifact_meta(owner, storage=storage)}
    new = {path.name: _described(path.name) for path in paths if path.name not in there}
    _register(storage, owner, list(new.values()))
    store = FileSystemArtifactStore(str(folder))
    for path in paths:
        try:
            _complete(store, folder / (there | new)[path.name].artifact_id, path)
        except OSError as error:
            raise OptdetError(
                f"{path.name} cannot be copied there ({error.strerror})",
                where=str(folder),
                fix="check the folder and the free space",
            ) from error


def _described(name: str) -> ArtifactMeta:
    mimetype, encoding = mimetypes.guess_type(name)
    return ArtifactMeta(str(uuid.uuid4()), name, mimetype or _BYTES, encoding)


def _register(
    storage: RDBStorage, owner: optuna.Study | optuna.Trial, artifacts: Sequence[ArtifactMeta]
) -> None:
    values = {f"artifacts:{meta.artifact_id}": json.dumps(asdict(meta)) for meta in artifacts}
    if isinstance(owner, optuna.Trial):
        set_system_attributes(storage, owner._trial_id, values)
        return
    for name, value in values.items():
        storage.set_study_system_attr(owner._study_id, name, value)


def _complete(store: FileSystemArtifactStore, attached: Path, path: Path) -> None:
    if not attached.exists() or attached.stat().st_size < path.stat().st_size:
        with path.open("rb") as file:
            store.write(attached.name, file)
