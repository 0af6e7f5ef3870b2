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
    already is left alone. A trial takes them until it is told, a study always."""
    folder.mkdir(parents=True, exist_ok=True)
    store = FileSystemArtifactStore(str(folder))
    there = attached_names(owner)
    for path in paths:
        if path.name not in there:
            upload_artifact(
                artifact_store=store,
                file_path=str(path),
                study_or_trial=owner,
                storage=_storage(owner),
            )


def _storage(owner: optuna.Study | optuna.Trial) -> optuna.storages.BaseStorage:
    return owner._storage if isinstance(owner, optuna.Study) else owner.storage
