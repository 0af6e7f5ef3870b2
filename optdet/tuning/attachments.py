"""Files that optuna-dashboard shows beside a study or a trial: Optuna's artifacts, each name once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta, upload_artifact


def attached_names(owner: optuna.Study | optuna.Trial) -> frozenset[str]:
    return frozenset(meta.filename for meta in get_all_artifact_meta(owner, storage=_storage(owner)))


def attach(owner: optuna.Study | optuna.Trial, folder: Path, paths: Sequence[Path]) -> None:
    """Copy the files into the ``folder`` of artifacts, under names of Optuna's; a name that is attached
    already is left alone. A trial takes them until it is told, a study always.

    Optuna registers one before it copies the file: where a process was killed in between, it is copied
    again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    store = FileSystemArtifactStore(str(folder))
    there = {meta.filename: meta for meta in get_all_artifact_meta(owner, storage=_storage(owner))}
    for path in paths:
        if path.name in there:
            _complete(store, folder / there[path.name].artifact_id, path)
        else:
            upload_artifact(
                artifact_store=store,
                file_path=str(path),
                study_or_trial=owner,
                storage=_storage(owner),
            )


def _complete(store: FileSystemArtifactStore, attached: Path, path: Path) -> None:
    if not attached.exists() or attached.stat().st_size < path.stat().st_size:
        with path.open("rb") as file:
            store.write(attached.name, file)


def _storage(owner: optuna.Study | optuna.Trial) -> optuna.storages.BaseStorage:
    return owner._storage if isinstance(owner, optuna.Study) else owner.storage
