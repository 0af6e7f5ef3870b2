"""Attached files: as Optuna attaches them, a trial's in one transaction, whole after a kill."""

from __future__ import annotations

from dataclasses import asdict

import optuna
import pytest
from optuna.artifacts import (
    FileSystemArtifactStore,
    download_artifact,
    get_all_artifact_meta,
    upload_artifact,
)
from sqlalchemy import event

from optdet.store.engine import open_storage
from optdet.tuning.attachments import attach, attached_names

NAMES = ("curve.png", "landscape.html", "images.csv", "maps.npz", "notes", "old.tar.gz")


@pytest.fixture
def storage(tmp_path):
    return open_storage(tmp_path / "optdet.db")


@pytest.fixture
def paths(tmp_path):
    made = [tmp_path / name for name in NAMES]
    for path in made:
        path.write_bytes(path.name.encode() * 100)
    return made


@pytest.fixture(params=["trial", "study"])
def owner(storage, request):
    study = optuna.create_study(storage=storage)
    return study.ask() if request.param == "trial" else study


def described(storage, owner):
    return {
        meta.filename: {key: value for key, value in asdict(meta).items() if key != "artifact_id"}
        for meta in get_all_artifact_meta(owner, storage=storage)
    }


def test_they_are_what_optuna_would_have_attached(storage, owner, paths, tmp_path):
    folder = tmp_path / "artifacts"
    attach(storage, owner, folder, paths)
    other = optuna.create_study(storage=storage)
    other = other.ask() if isinstance(owner, optuna.Trial) else other
    store = FileSystemArtifactStore(str(folder))
    for path in paths:
        upload_artifact(artifact_store=store, file_path=str(path), study_or_trial=other)
    assert described(storage, owner) == described(storage, other)
    for meta in get_all_artifact_meta(owner, storage=storage):
        to = tmp_path / "back" / meta.filename
        to.parent.mkdir(exist_ok=True)
        download_artifact(artifact_store=store, artifact_id=meta.artifact_id, file_path=str(to))
        assert to.read_bytes() == (tmp_path / meta.filename).read_bytes()


def test_a_trials_are_one_transaction(storage, paths, tmp_path):
    trial, commits = optuna.create_study(storage=storage).ask(), []
    statements = commits.append
    event.listen(storage.engine, "commit", statements)
    attach(storage, trial, tmp_path / "artifacts", paths)
    event.remove(storage.engine, "commit", statements)
    assert len(commits) == 2  # what is there, and the rest of them


def test_what_is_there_stays_and_what_was_cut_off_is_copied_again(storage, owner, paths, tmp_path):
    folder = tmp_path / "artifacts"
    attach(storage, owner, folder, paths[:3])
    ids = {meta.filename: meta.artifact_id for meta in get_all_artifact_meta(owner, storage=storage)}
    (folder / ids["curve.png"]).write_bytes(b"half")
    (folder / ids["images.csv"]).unlink()
    attach(storage, owner, folder, paths)
    assert attached_names(storage, owner) == set(NAMES)
    found = {meta.filename: meta.artifact_id for meta in get_all_artifact_meta(owner, storage=storage)}
    assert len(found) == len(list(folder.iterdir())) == len(NAMES)
    assert ids.items() <= found.items()
    for path in paths:
        assert (folder / found[path.name]).read_bytes() == path.read_bytes()
