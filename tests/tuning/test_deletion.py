"""A deleted study leaves nothing behind, wherever its deletion was cut off, and takes nothing of others."""

from __future__ import annotations

import shutil
from pathlib import Path

import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore, upload_artifact

from optdet.errors import OptdetError
from optdet.inference.map_cache import MapCache
from optdet.metrics.scores import PRH
from optdet.store.leases import Leases
from optdet.store.registry import InnerTrial, record_checkpoint, save_inner_trials
from optdet.structures import Thresholds
from optdet.tuning import attributes as attr
from optdet.tuning import deletion
from optdet.tuning.deletion import delete_study, find_doomed
from optdet.tuning.housekeeping import keep_best
from optdet.tuning.study import find_study, load_study, outer_studies
from optdet.tuning.study_creation import create_study

N_TRIALS = 3


def fill(database, config, *, shared_map="shared-map"):
    """A study as a run leaves it: trials with artifacts, maps, run folders, inner trials and studies."""
    create_study(database, config)
    study = load_study(database, config.name)
    artifacts = study.places.artifacts_dir
    artifacts.mkdir(exist_ok=True)
    for number in range(N_TRIALS):
        trial = study.study.ask()
        run_dir = study.places.run_dir(study.name, number)
        (run_dir / "checkpoints").mkdir(parents=True)
        picture = run_dir / "curve.png"
        picture.write_bytes(b"a picture")
        upload_artifact(
            artifact_store=FileSystemArtifactStore(str(artifacts)),
            file_path=str(picture),
            study_or_trial=trial,
        )
        trial.set_user_attr(attr.MAP_KEY, shared_map if number == 0 else f"{study.name}-map-{number}")
        key = trial.user_attrs[attr.MAP_KEY]
        (study.places.cache_dir / "maps" / key).mkdir(parents=True, exist_ok=True)
        scores = PRH(0.5, 0.5, 0.5)
        row = InnerTrial(0, Thresholds(0.3, 0.6, 1.5, 1000, False, 3.0), scores)
        save_inner_trials(study.storage, study.uuid, number, [row])
        record_checkpoint(study.storage, study.uuid, number, "best", path="x", sha256="y", epoch=1)
        study.study.tell(trial, 0.5 + number / 10)
    keep_best(study)
    noted = MapCache.of(study.places.cache_dir, f"{study.name}-noted", title=f"{study.name}:1")
    noted.folder.mkdir(parents=True)
    noted._write_note()
    tuned = optuna.create_study(storage=study.storage, study_name=f"{study.name}-1.postprocess.x")
    tuned.set_user_attr(attr.INNER_OF, f"{study.name}:1")
    return study


def files(database):
    root = database.places.root
    return sorted(
        str(path.relative_to(root))
        for path in root.rglob("*")
        if not path.name.endswith(".lock") and "optdet.db" not in path.name
    )


KEEP = {"maps": 3, "inner_studies": 1, "overlays": 0}


@pytest.fixture
def doomed(database, define, n_rows):
    """A database with a study, and what was there before it: another study, which shares a map with it."""
    fill(database, define("other", keep=KEEP))
    before = n_rows(database), files(database)
    fill(database, define("mine", keep=KEEP))
    return before


def test_nothing_is_left_and_nothing_of_others_is_gone(database, doomed, n_rows):
    assert sum(n_rows(database).values()) > sum(doomed[0].values())
    gone = delete_study(database, "mine")
    assert (n_rows(database), files(database)) == doomed
    assert (gone.n_trials, len(gone.inner), gone.kept_by) == (N_TRIALS, 2, ())
    # Run folders, artifacts, maps of its own: the first trial's is shared, and one is noted only.
    assert len(gone.files) == N_TRIALS * 2 + (N_TRIALS - 1) + 1
    assert gone.n_bytes > 2 * N_TRIALS * len(b"a picture")
    delete_study(database, "other")
    assert set(n_rows(database).values()) == {0}
    assert not list((database.places.root / "artifacts").iterdir())
    assert not list((database.places.root / "cache" / "maps").iterdir())


class Killed(BaseException):
    pass


STEPS = ("remove", "remove_empty", "forget_study", "optuna.delete_study", "find_doomed", "Leases.retire")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.thin(3)
def test_a_deletion_that_was_cut_off_is_finished_by_the_next(
    database, doomed, step, after, monkeypatch, n_rows
):
    """Before and after each call of a step, one cut after the other, until a deletion gets through."""
    holder, name = deletion, step
    if "." in step:
        part, name = step.split(".")
        holder = getattr(deletion, part)
    original, left = getattr(holder, name), [0]

    def deadly(*args, **kwargs):
        left[0] -= 1
        if left[0] < 0 and not after:
            raise Killed
        result = original(*args, **kwargs)
        if left[0] < 0 and after:
            raise Killed
        return result

    monkeypatch.setattr(holder, name, deadly)
    for n_cuts in range(40):
        left[0] = n_cuts
        try:
            delete_study(database, "mine")
        except Killed:
            if "mine" not in optuna.get_all_study_names(database.storage):
                break  # nothing was left to be done
            continue
        break
    monkeypatch.undo()
    assert n_cuts > 0 or after
    assert (n_rows(database), files(database)) == doomed
    assert n_cuts < 39


def test_a_study_whose_deletion_began_is_out_of_sight_and_out_of_work(
    database, doomed, define, monkeypatch, n_rows
):
    study = load_study(database, "mine")
    leases = Leases(study.storage, study.study_id, study.uuid)

    def killed(path):
        raise Killed

    monkeypatch.setattr(deletion, "remove", killed)
    with pytest.raises(Killed):
        delete_study(database, "mine")
    monkeypatch.undo()
    with pytest.raises(OptdetError, match="was deleted"):
        leases.reserve(100)
    finish = "finish it: optdet study delete mine"
    with pytest.raises(OptdetError, match=finish):
        load_study(database, "mine")
    with pytest.raises(OptdetError, match=finish):
        create_study(database, define("mine", keep=KEEP))
    assert [row.name for row in outer_studies(database)] == ["other"]
    assert find_study(database, "mine") == "mine"  # by its name it is found, to be deleted
    delete_study(database, "mine")
    assert (n_rows(database), files(database)) == doomed
    assert create_study(database, define("mine", keep=KEEP)) == "created"


def test_a_study_that_is_worked_on_stays(database, doomed, n_rows):
    study = load_study(database, "mine")
    before = n_rows(database), files(database)
    leases = Leases(study.storage, study.study_id, study.uuid)
    slot = leases.bind(leases.reserve(10), study.study.ask().number)
    with pytest.raises(OptdetError, match=rf"process \d+ on \S+ holds trial {N_TRIALS}; stop them first"):
        delete_study(database, "mine")
    assert files(database) == before[1]
    assert load_study(database, "mine").name == "mine"
    leases.release(slot)
    delete_study(database, "mine")
    assert (n_rows(database), files(database)) == doomed


def test_files_that_another_database_there_names_stay(database, doomed, n_rows):
    """As a backup does, from which the study could be brought back."""
    file = Path(database.url.removeprefix("sqlite:///"))
    database.storage.engine.dispose()
    backup = file.with_name("backup.db")
    shutil.copy(file, backup)
    study = load_study(database, "mine")
    extra = study.study.ask().number
    study.places.run_dir("mine", extra).mkdir()
    before = files(database)
    gone = delete_study(database, "mine")
    assert gone.kept_by == (str(backup),)
    assert [path.name for path in gone.files] == [
        f"t{extra:04d}",
        "mine-noted",
    ]  # what the backup does not know
    assert set(before) - set(files(database)) == {f"runs/mine/t{extra:04d}", "cache/maps/mine-noted"} | {
        "cache/maps/mine-noted/note.json"
    }
    assert n_rows(database) == doomed[0]


def test_threshold_tuning_is_deleted_alone(database, doomed):
    before = files(database)
    assert "mine-1.postprocess.x" in optuna.get_all_study_names(database.storage)
    delete_study(database, "mine-1.postprocess.x")
    assert "mine-1.postprocess.x" not in optuna.get_all_study_names(database.storage)
    assert files(database) == before


def test_a_study_of_another_program_stays(database, doomed):
    optuna.create_study(storage=database.storage, study_name="foreign").set_user_attr("theirs", 1)
    for act in (find_doomed, delete_study):
        with pytest.raises(OptdetError, match="optdet did not make the study 'foreign'"):
            act(database, "foreign")
    assert "foreign" in optuna.get_all_study_names(database.storage)


def test_an_artifact_id_that_leads_out_of_the_folder_is_left(database, doomed):
    study = load_study(database, "mine")
    outside = database.places.root / "precious"
    outside.write_bytes(b"1")
    study.storage.set_study_system_attr(study.study_id, "artifacts:../precious", "{}")
    delete_study(database, "mine")
    assert outside.exists()
