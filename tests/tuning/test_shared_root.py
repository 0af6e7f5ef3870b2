"""Two databases that name the same run folders and pictures: neither removes what the other still names."""

from __future__ import annotations

import shutil

import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore, upload_artifact

from optdet.errors import OptdetError
from optdet.store.engine import close_storage, sqlite_file
from optdet.store.root_users import NOTE_NAME
from optdet.tuning.cleaning import PICTURES, RUNS, clean
from optdet.tuning.deletion import delete_study
from optdet.tuning.run import run_study
from optdet.tuning.study import load_study, open_database
from optdet.tuning.study_copy import copy_study
from optdet.tuning.study_creation import create_study


@pytest.fixture
def study(database, define):
    """Of one trial, with a checkpoint's folder and a picture; nothing was trained."""
    create_study(database, define("mine", trials=1))
    study = load_study(database, "mine")
    add_trial(study)
    return study


def add_trial(study):
    trial = study.study.ask()
    weights = study.places.run_dir("mine", trial.number) / "best.pt"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    study.places.artifacts_dir.mkdir(exist_ok=True)
    store = FileSystemArtifactStore(str(study.places.artifacts_dir))
    upload_artifact(artifact_store=store, file_path=str(weights), study_or_trial=trial, storage=study.storage)
    study.study.tell(trial, 0.5)


def files(root):
    places = (root / "runs", root / "artifacts")
    return sorted(
        path for place in places for path in place.rglob("*") if path.is_file() and ".lock" not in path.name
    )


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def other(request, tmp_path, database):
    """A database elsewhere that works in the same root."""
    url = (
        tmp_path / "there" / "all.db"
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_url")
    )
    opened = open_database(str(url), str(database.places.root), create=True)
    yield opened
    close_storage(opened.storage)


@pytest.mark.parametrize("name", ["mine", "copy"])
@pytest.mark.parametrize("first", ["original", "copy"])
def test_of_a_copy_in_the_same_root_either_may_be_deleted(study, other, first, name):
    """Of one with another name the pictures are shared, and nothing else."""
    copy_study(study, other, name)
    there = files(study.places.root)
    assert len(there) == (2 if name == "mine" else 3)
    sides = [(study.database, "mine"), (other, name)]
    (database, own), (left, kept) = sides if first == "original" else sides[::-1]
    gone = delete_study(database, own)
    if name == "mine":
        assert gone.kept_by == (left.url.removeprefix("sqlite:///"),)
        assert files(study.places.root) == there
    assert {waste.what for waste in clean(database, unknown=True).waste} == set()
    assert len(files(study.places.root)) == 2
    assert load_study(left, kept).places.run_dir(kept, 0).is_dir()
    delete_study(left, kept)
    assert files(study.places.root) == []


def test_what_is_cleaned_is_what_no_database_names(study, other):
    """Also where the study is gone here, as one that was deleted in the dashboard."""
    copy_study(study, other)
    add_trial(study)
    optuna.delete_study(study_name="mine", storage=study.storage)
    assert len(files(study.places.root)) == 4
    done = clean(study.database)
    assert [waste.what for waste in done.waste if waste.what in (RUNS, PICTURES)] == [RUNS, PICTURES]
    assert [path.parent.name for path in files(study.places.root)] == ["artifacts", "t0000"]


def test_a_backup_that_was_gone_on_with_elsewhere_keeps_its_files(study, tmp_path, recorder):
    file = sqlite_file(study.storage)
    study.storage.engine.dispose()
    (tmp_path / "backups").mkdir()
    restored = open_database(shutil.copy(file, tmp_path / "backups" / "monday.db"), str(study.places.root))
    run_study(load_study(restored, "mine"), recorder())
    there = files(study.places.root)
    assert delete_study(study.database, "mine").kept_by == (str(tmp_path / "backups" / "monday.db"),)
    assert files(study.places.root) == there
    close_storage(restored.storage)


def test_a_new_study_does_not_take_the_files_of_anothers(study, other, define):
    with pytest.raises(
        OptdetError, match=r"all\.db|optdet\.db has a study named 'mine' whose files are here; .*mine-2"
    ):
        create_study(other, define("mine", trials=1))
    assert optuna.get_all_study_names(other.storage) == []
    create_study(other, define("mine-2", trials=1))
    copy_study(study, other)
    assert create_study(other, load_study(other, "mine").config) == "exists"


def test_a_deletion_that_cannot_ask_has_not_begun(study):
    (study.places.root / NOTE_NAME).write_text("postgresql+psycopg://me@127.0.0.1:1/optdet\n")
    there = files(study.places.root)
    with pytest.raises(OptdetError, match="cannot be asked which"):
        delete_study(study.database, "mine")
    with pytest.raises(OptdetError, match="cannot be asked which"):
        clean(study.database)
    assert files(study.places.root) == there
    assert load_study(study.database, "mine").n_finished() == 1
