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

from optdet.store.engine import close_storage, open_storage
from optdet.store.places import Places
from optdet.store.root_users import note_database
from optdet.tuning import attachments
from optdet.tuning.attachments import attach, attach_anew, attached_names

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


@pytest.fixture
def reported(storage, paths, tmp_path):
    """A study with files, among them a report, and the folder that a new report is written in."""
    study, places = optuna.create_study(storage=storage, study_name="reported"), Places(tmp_path)
    (tmp_path / "report.html").write_text("first")
    attach(storage, study, places.artifacts_dir, [*paths, tmp_path / "report.html"])
    (tmp_path / "report.html").write_text("second")
    return study, places, tmp_path / "report.html"


def reports(storage, study, places):
    """The text of each attached report; None for a file that is not there."""
    found = [
        places.artifacts_dir / meta.artifact_id
        for meta in get_all_artifact_meta(study, storage=storage)
        if meta.filename == "report.html"
    ]
    return [path.read_text() if path.exists() else None for path in found]


def test_a_file_takes_the_place_of_the_former_one(storage, reported):
    study, places, path = reported
    attach_anew(storage, study, places, path)
    assert reports(storage, study, places) == ["second"]
    assert attached_names(storage, study) == {*NAMES, "report.html"}
    assert len(list(places.artifacts_dir.iterdir())) == len(NAMES) + 1
    before = get_all_artifact_meta(study, storage=storage)
    attach_anew(storage, study, places, path)  # the same again
    assert get_all_artifact_meta(study, storage=storage) == before
    attach_anew(storage, study, places, path.with_name("notes"))  # one that is there, unchanged
    assert get_all_artifact_meta(study, storage=storage) == before
    other = optuna.create_study(storage=storage)
    attach_anew(storage, other, places, path)  # where there was none
    assert reports(storage, other, places) == ["second"]


@pytest.mark.parametrize("at", ["replace_study_attributes", "_complete", "_remove_unnamed"])
def test_after_a_kill_it_is_the_former_or_the_new_one(storage, reported, monkeypatch, at):
    study, places, path = reported

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(attachments, at, killed)
    with pytest.raises(KeyboardInterrupt):
        attach_anew(storage, study, places, path)
    assert reports(storage, study, places) == (["first"] if at == "replace_study_attributes" else ["second"])
    monkeypatch.undo()
    attach_anew(storage, study, places, path)
    assert reports(storage, study, places) == ["second"]


@pytest.mark.parametrize("where", ["the same database", "another database"])
def test_the_file_of_a_copy_stays(storage, reported, tmp_path, where):
    study, places, path = reported
    note_database(tmp_path, storage)
    elsewhere = storage if where == "the same database" else open_storage(tmp_path / "other.db")
    note_database(tmp_path, elsewhere)
    copy = optuna.create_study(storage=elsewhere, study_name="copy")
    for key, value in storage.get_study_system_attrs(study._study_id).items():
        elsewhere.set_study_system_attr(copy._study_id, key, value)
    attach_anew(storage, study, places, path)
    assert reports(storage, study, places) == ["second"]
    assert reports(elsewhere, copy, places) == ["first"]
    if elsewhere is not storage:
        close_storage(elsewhere)
