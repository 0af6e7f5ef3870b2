"""What is cleaned is what nobody needs: counted first, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from optdet.in_use import hold
from optdet.inference.map_cache import MapCache
from optdet.metrics.scores import PRH
from optdet.store.engine import close_storage
from optdet.store.registry import InnerTrial, save_inner_trials, stored_studies
from optdet.structures import Thresholds
from optdet.tuning import attributes as attr
from optdet.tuning import cleaning
from optdet.tuning.cleaning import BEYOND, MAPS, PICTURES, ROWS, RUNS, UNFINISHED, clean
from optdet.tuning.study import load_study, open_database
from optdet.tuning.study_creation import create_study

KEEP = {"maps": 2, "inner_studies": 0, "overlays": 0}
DEAD = 2**22 + 1  # beyond the largest process id


@pytest.fixture
def study(database, define):
    """Three complete trials, a pruned and a running one, each with maps and a run folder."""
    create_study(database, define("mine", keep=KEEP))
    opened = load_study(database, "mine")
    for number, value in enumerate((0.5, 0.9, 0.7)):
        opened.study.add_trial(create_trial(value=value, user_attrs={attr.MAP_KEY: f"map-{number}"}))
    opened.study.add_trial(create_trial(state=TrialState.PRUNED, value=1.0, intermediate_values={1: 1.0}))
    opened.study.ask()
    for number in range(5):
        maps(database, f"map-{number}", f"mine:{number}")
        file(opened.places.run_dir("mine", number) / "checkpoints" / "best-0001.pt")
    maps(database, "of-a-file", "best.pt")
    return opened


def maps(database, key, title):
    cache = MapCache.of(database.places.cache_dir, key, title=title)
    cache.folder.mkdir(parents=True)
    cache._write_note()
    return cache


def file(path, n_bytes=100, age=0.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(n_bytes))
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def names(cleaned, what):
    return sorted(Path(waste.name).name for waste in cleaned.waste if waste.what == what)


def everything(database):
    return sorted(path for path in database.places.root.rglob("*") if "optdet.db" not in path.name)


def cleaned(database, *args, **kwargs):
    """Cleaned after a dry run that changed nothing and said the same."""
    before = everything(database)
    said = clean(database, *args, **kwargs, dry_run=True)
    assert everything(database) == before
    done = clean(database, *args, **kwargs)
    assert done == said
    gone = set(before) - set(everything(database))
    assert gone >= {Path(waste.name) for waste in done.waste if waste.what != ROWS}
    again = clean(database, *args, **kwargs)
    assert (again.waste, again.unknown) == ((), done.unknown)
    return done


def test_maps_of_the_best_and_of_those_at_work_stay(database, study):
    done = cleaned(database)
    assert names(done, MAPS) == ["map-0", "map-3"]
    assert {waste.what for waste in done.waste} == {MAPS}
    assert done.waste[0].n_bytes > 0


def test_maps_in_use_stay(database, study):
    held = hold(database.places.cache_dir / "maps" / "map-0")
    assert names(cleaned(database), MAPS) == ["map-3"]
    held.release()
    assert names(cleaned(database), MAPS) == ["map-0"]


def test_maps_that_another_study_keeps_stay(database, study, define):
    create_study(database, define("other", keep=KEEP))
    load_study(database, "other").study.add_trial(create_trial(value=0.1, user_attrs={attr.MAP_KEY: "map-0"}))
    assert names(cleaned(database), MAPS) == ["map-3"]


def test_run_folders_pictures_and_maps_of_what_is_gone(database, study):
    root = database.places.root
    file(root / "runs" / "mine" / "t0005" / "best.pt", 1000)
    file(root / "runs" / "gone" / "t0000" / "best.pt", 1000)
    file(root / "runs" / "notes" / "mine.txt")  # not ours
    file(root / "artifacts" / "nobodys")
    file(root / "artifacts" / "known")
    study.storage.set_study_system_attr(study.study_id, "artifacts:known", json.dumps({}))
    maps(database, "gone", "gone:3")
    done = cleaned(database)
    assert names(done, RUNS) == ["t0000", "t0005"]
    assert names(done, PICTURES) == ["nobodys"]
    assert names(done, MAPS) == ["gone", "map-0", "map-3"]
    assert sum(waste.n_bytes for waste in done.waste if waste.what == RUNS) == 2000
    assert not (root / "runs" / "gone").exists()
    assert (root / "runs" / "notes" / "mine.txt").exists()


def test_what_another_database_there_knows_stays(database, study):
    """Of the backup the study has a trial more, and a picture."""
    trial = study.study.ask().number
    file(study.places.run_dir("mine", trial) / "best.pt")
    file(study.places.artifacts_dir / "picture")
    study.storage.set_study_system_attr(study.study_id, "artifacts:picture", json.dumps({}))
    close_storage(study.storage)
    path = Path(database.url.removeprefix("sqlite:///"))
    shutil.copy(path, path.with_name("backup.db"))
    optuna.delete_study(study_name="mine", storage=database.storage)
    done = clean(database)
    assert {waste.what for waste in done.waste} <= {ROWS}
    path.with_name("backup.db").unlink()
    done = cleaned(database)
    assert len(names(done, RUNS)) == 6
    assert names(done, PICTURES) == ["picture"]


def test_in_a_root_that_may_be_shared_the_unknown_stays_unless_asked_for(database, study, tmp_path):
    elsewhere = open_database(
        str(tmp_path / "elsewhere.db"), str(database.places.root / "shared"), create=True
    )
    kept = [file(elsewhere.places.run_dir("theirs", 0) / "best.pt").parent]
    kept += [file(elsewhere.places.artifacts_dir / "theirs")]
    done = cleaned(elsewhere)
    assert (done.waste, done.unknown) == ((), tuple(kept))
    done = cleaned(elsewhere, unknown=True)
    assert {Path(waste.name) for waste in done.waste} == set(kept)
    close_storage(elsewhere.storage)


def test_what_dead_writers_left_unfinished(database, study):
    root, own = database.places.root, os.getpid()
    old = cleaning._ABANDONED_AFTER_S + 10
    gone = [
        file(root / "runs" / "mine" / "t0004" / "checkpoints" / f".best.pt.{DEAD}.0123abcd.tmp", age=old),
        file(root / "runs" / "mine" / "t0004" / "checkpoints" / ".last-0002.tmp", age=old),
        file(root / "cache" / f".images-1.npy.{DEAD}.0123abcd.tmp", age=old),
        file(root / "cache" / "maps" / "map-1" / f".a.npy.{DEAD}.0123abcd.tmp", age=old),
        file(root / "data" / "made" / f".labels.json.{DEAD}.0123abcd.tmp", age=old),
        file(root / ".smoke-1" / "x.pt", age=old).parent,
    ]
    os.utime(gone[-1], (time.time() - old, time.time() - old))
    file(root / "cache" / f".images-2.npy.{own}.0123abcd.tmp", age=old)  # a writer that lives
    file(root / "cache" / f".images-3.npy.{DEAD}.0123abcd.tmp")  # one on another host, it may be
    file(root / ".smoke-2" / "x.pt")
    file(root / ".mine.tmp", age=old)  # not in a folder of ours
    done = cleaned(database)
    assert names(done, UNFINISHED) == sorted(path.name for path in gone)


def test_what_was_left_before_the_clock_was_set_back_is_unfinished_too(database, study, monkeypatch):
    """From when it was first looked at: in time, and not before."""
    left = file(database.places.root / "cache" / f".images-1.npy.{DEAD}.0123abcd.tmp", age=-86400)
    assert names(cleaned(database), UNFINISHED) == []
    monkeypatch.setattr(cleaning, "_ABANDONED_AFTER_S", 0.02)
    time.sleep(0.03)
    assert names(cleaned(database), UNFINISHED) == [left.name]


def test_the_bound_of_the_cache_is_that_of_the_studies(database, define):
    config = define("mine").config
    small = config.model_copy(update={"cache": config.cache.model_copy(update={"max_gb": 3e-6})})
    create_study(database, define("mine", config=small.model_dump(mode="json")))
    for number, age in enumerate((300, 200, 100)):
        cache = maps(database, f"file-{number}", "best.pt")
        file(cache.folder / "a.npy", 1300)
        file(cache.folder / "note.json", 0, age)
    assert names(cleaned(database), BEYOND) == ["file-0"]


def test_one_study_alone(database, study, define):
    create_study(database, define("other", keep=KEEP))
    maps(database, "of-other", "other:7")
    root = database.places.root
    file(root / "runs" / "mine" / "t0005" / "best.pt")
    file(root / "runs" / "other" / "t0005" / "best.pt")
    file(root / "artifacts" / "nobodys")
    done = cleaned(database, "mine")
    assert names(done, MAPS) == ["map-0", "map-3"]
    assert [Path(waste.name).parent.name for waste in done.waste if waste.what == RUNS] == ["mine"]
    assert {waste.what for waste in done.waste} == {MAPS, RUNS}


def test_rows_and_inner_studies_of_a_study_that_was_deleted_in_the_dashboard(database, study, define):
    row = InnerTrial(0, Thresholds(0.3, 0.6, 1.5, 1000, False, 3.0), PRH(0.5, 0.5, 0.5))
    save_inner_trials(study.storage, study.uuid, 0, [row])
    for of in ("mine:0", "other:0", "detector.onnx"):
        inner = optuna.create_study(storage=study.storage, study_name=f"inner of {of}")
        inner.set_user_attr(attr.INNER_OF, of)
    create_study(database, define("other", keep=KEEP))
    other = load_study(database, "other")
    save_inner_trials(other.storage, other.uuid, 0, [row])
    optuna.delete_study(study_name="mine", storage=database.storage)
    done = cleaned(database)
    assert names(done, ROWS) == sorted([study.uuid, "inner of mine:0"])
    assert stored_studies(database.storage) == {other.uuid}
    left = optuna.get_all_study_names(database.storage)
    assert sorted(left) == ["inner of detector.onnx", "inner of other:0", "other"]


def test_a_picture_that_was_registered_and_not_copied_is_copied_when_the_trial_goes_on(
    database, define, tmp_path
):
    """Optuna registers first: nothing is left that nobody knows, but what is known may be missing."""
    from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta

    from optdet.tuning import artifacts

    create_study(database, define("mine", keep=KEEP))
    study = load_study(database, "mine")
    trial = study.study.ask()
    picture = file(tmp_path / "curve.png", 50)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifacts, "make_pictures", lambda shown, n_overlays: [picture])
        patch.setattr(FileSystemArtifactStore, "write", lambda self, name, content: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            artifacts.attach_artifacts(trial, study, None)
    (meta,) = get_all_artifact_meta(trial, storage=study.storage)
    attached = study.places.artifacts_dir / meta.artifact_id
    assert not attached.exists()
    for left in (None, b"", bytes(49)):
        if left is not None:
            attached.write_bytes(left)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(artifacts, "make_pictures", lambda shown, n_overlays: [picture])
            artifacts.attach_artifacts(trial, study, None)
        assert attached.read_bytes() == picture.read_bytes()
    assert len(get_all_artifact_meta(trial, storage=study.storage)) == 1
