"""What is kept after a trial, and that nothing of it depends on where a worker was killed."""

from __future__ import annotations

import threading
import time

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from optdet.inference.map_cache import MapCache
from optdet.metrics.scores import PRH
from optdet.store.engine import close_storage
from optdet.store.registry import InnerTrial, load_inner_trials, save_inner_trials
from optdet.structures import Thresholds
from optdet.training.checkpoints import CheckpointFolder
from optdet.tuning import attributes as attr
from optdet.tuning import housekeeping
from optdet.tuning.housekeeping import (
    inner_study_name,
    keep_best,
    save_inner_study,
    sweep_finished,
)
from optdet.tuning.named_files import own_references
from optdet.tuning.ranking import best_trials
from optdet.tuning.study import load_study, open_database

N_INNER = 7
OUTSIDE = Thresholds(0.3, 0.6, 1.5, 777, False, 3.0)


@pytest.fixture
def study(make, request):
    """Five complete trials, a pruned and a failed one, with maps and inner trials, and nothing tidied yet."""
    opened = make(
        f"house-{request.node.name}"[:90].rstrip("-[]").replace("[", "-").replace("]", ""), keep=KEEP
    )
    for number, value in enumerate((0.5, 0.9, 0.7, 0.9, 0.1)):
        opened.study.add_trial(create_trial(value=value, user_attrs={attr.MAP_KEY: key(opened, number)}))
        (opened.places.cache_dir / "maps" / key(opened, number)).mkdir(parents=True)
        save_inner_trials(opened.storage, opened.uuid, number, inner_trials(number))
    opened.study.add_trial(create_trial(state=TrialState.PRUNED, value=1.0, intermediate_values={1: 1.0}))
    opened.study.add_trial(create_trial(state=TrialState.FAIL))
    return opened


KEEP = {"maps": 2, "inner_studies": 1, "overlays": 0}


def key(study, number):
    return f"{study.name}-{number}"


def inner_trials(number):
    rows = [
        InnerTrial(
            index,
            Thresholds(0.2 + index / 100, 0.5, 1.5, 1000, index % 2 == 0, 3.0),
            PRH(0.5, 0.6, 0.1 * number + index / 100),
        )
        for index in range(N_INNER - 1)
    ]
    return [*rows, InnerTrial(N_INNER - 1, OUTSIDE, PRH(0.9, 0.9, 0.9))]


def inner_of(study, number):
    return optuna.load_study(storage=study.storage, study_name=inner_study_name(study.name, number))


def test_the_best_come_first_and_of_equals_the_earlier(study):
    assert [trial.number for trial in best_trials(study, 3)] == [1, 3, 2]
    assert len(best_trials(study, 99)) == 5


def test_maps_of_all_but_the_best_are_removed(study):
    keep_best(study)
    kept = [
        number
        for number in range(5)
        if MapCache.of(study.places.cache_dir, key(study, number)).folder.is_dir()
    ]
    assert kept == [1, 3]
    keep_best(study)  # and again, when there is nothing left to remove


def test_the_inner_study_of_a_trial_that_was_beaten_goes_and_its_results_stay(study):
    beaten = next(trial for trial in best_trials(study, 2) if trial.number != 1)
    name = save_inner_study(study, beaten)
    keep_best(study)
    assert name not in optuna.get_all_study_names(study.storage)
    assert len(load_inner_trials(study.storage, study.uuid, beaten.number)) == N_INNER
    keep_best(study)


def test_the_best_trials_thresholds_become_a_study(study):
    keep_best(study)
    names = [name for name in optuna.get_all_study_names(study.storage) if name.startswith(f"{study.name}.")]
    assert names == [f"{study.name}.t0001.postprocess"]
    inner = inner_of(study, 1)
    assert inner.user_attrs[attr.INNER_OF] == f"{study.name}:1"
    stored = load_inner_trials(study.storage, study.uuid, 1)
    assert len(inner.trials) == len(stored) == N_INNER
    for trial, row in zip(inner.trials, stored, strict=True):
        assert trial.value == row.scores.hmean
        assert trial.user_attrs["precision"] == row.scores.precision
        given = trial.params or trial.user_attrs
        assert given["box_thresh"] == row.thresholds.box_thresh
        assert given["use_polygon"] == row.thresholds.use_polygon
    assert inner.best_trial.params == {}  # outside the space: its values are attributes
    assert inner.best_trial.user_attrs["max_candidates"] == OUTSIDE.max_candidates


@pytest.mark.parametrize(
    ("cut", "n_there"),
    [("Study.set_user_attr", 0), ("add_finished_trials", 0), ("Study.set_user_attr", N_INNER)],
    ids=["made", "named", "filled"],
)
def test_an_inner_study_that_was_cut_off_is_completed(study, cut, n_there, monkeypatch):
    """Whatever was written before the cut, the end is the same as without one."""

    class CutOff(BaseException):
        pass

    def cut_off(*_args):
        raise CutOff

    original = optuna.Study.set_user_attr

    def at_the_last(self, key, value):
        if key == attr.READY:
            raise CutOff
        original(self, key, value)

    if cut == "add_finished_trials":
        monkeypatch.setattr(housekeeping, cut, cut_off)
    else:
        monkeypatch.setattr(optuna.Study, "set_user_attr", at_the_last if n_there else cut_off)
    trial, other = best_trials(study, 2)
    with pytest.raises(CutOff):
        save_inner_study(study, trial)
    monkeypatch.undo()
    assert len(inner_of(study, trial.number).trials) == n_there
    keep_best(study)
    save_inner_study(study, other)
    ended, straight = (
        [(row.number, row.params, row.user_attrs) for row in inner_of(study, number).trials]
        for number in (trial.number, other.number)
    )
    assert ended == straight
    assert len(ended) == N_INNER


def test_an_inner_study_is_saved_once(study):
    trial = best_trials(study, 1)[0]
    name = save_inner_study(study, trial)
    assert save_inner_study(study, trial) == name
    assert len(inner_of(study, trial.number).trials) == N_INNER


def test_workers_that_save_an_inner_study_at_once_save_it_once(study, monkeypatch):
    """Each with a storage of its own, as processes have, and none faster than the other."""
    trial = best_trials(study, 1)[0]
    original = housekeeping.add_finished_trials

    def slowly(*added):
        time.sleep(0.2)
        original(*added)

    monkeypatch.setattr(housekeeping, "add_finished_trials", slowly)
    databases = [open_database(study.database.url) for _ in range(2)]
    threads = [
        threading.Thread(target=save_inner_study, args=(load_study(database, study.name), trial))
        for database in databases
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for database in databases:
        close_storage(database.storage)
    assert len(inner_of(study, trial.number).trials) == N_INNER


def test_what_a_killed_worker_left_of_finished_trials_is_swept(study):
    """Of those that are not finished everything stays: they go on from it."""
    running = study.study.ask().number
    folders = {
        number: CheckpointFolder(study.places.run_dir(study.name, number) / "checkpoints")
        for number in (0, 5, 6, running)
    }
    for folder in folders.values():
        for kind in ("last", "best"):
            folder.save(kind, 1, {"epoch": 1})
        (folder.folder / ".last-0002.tmp").write_bytes(b"half of it")
    sweep_finished(study)
    for number, folder in folders.items():
        assert len(folder.found("best")) == 1
        left = 1 if number == running else 0
        assert len(folder.found("last")) == left
        assert len(list(folder.folder.glob(".*.tmp"))) == left


def test_a_finished_study_was_tidied(finished):
    [best] = best_trials(finished, 1)
    maps = {
        trial.user_attrs[attr.MAP_KEY]
        for trial in finished.study.trials
        if MapCache.of(finished.places.cache_dir, trial.user_attrs[attr.MAP_KEY]).folder.is_dir()
    }
    others = {
        key for key, studies in own_references(finished.storage).maps.items() if studies - {finished.name}
    }  # of other tests, whose trials were equal
    assert best.user_attrs[attr.MAP_KEY] in maps
    assert maps - others <= {best.user_attrs[attr.MAP_KEY]}
    inner = inner_of(finished, best.number)
    stored = load_inner_trials(finished.storage, finished.uuid, best.number)
    assert max(trial.value for trial in inner.trials) == max(row.scores.hmean for row in stored)


def test_maps_that_a_copy_of_the_study_has_too_stay(study):
    """Of which another trial may be the best."""
    shared = key(study, 0)
    copied = optuna.create_study(storage=study.storage, study_name=f"{study.name}-copied")
    copied.add_trial(create_trial(state=TrialState.FAIL, user_attrs={attr.MAP_KEY: shared}))
    keep_best(study)
    left = {path.name for path in (study.places.cache_dir / "maps").iterdir()}
    assert {shared, key(study, 1), key(study, 3)} <= left
    assert not {key(study, 2), key(study, 4)} & left
