"""What only reads: it waits for no writer, sees what is committed, and is all that Optuna reads with."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import optuna
import pytest
from optuna.storages import BaseStorage

from optdet.store.engine import close_storage, open_storage, sqlite_file

KEYS = {
    "get_all_studies": (),
    "get_all_trials": ("study",),
    "get_best_trial": ("study",),
    "get_n_trials": ("study",),
    "get_study_directions": ("study",),
    "get_study_id_from_name": ("name",),
    "get_study_name_from_id": ("study",),
    "get_study_system_attrs": ("study",),
    "get_study_user_attrs": ("study",),
    "get_trial": ("trial",),
    "get_trial_id_from_study_id_trial_number": ("study", "number"),
    "get_trial_number_from_id": ("trial",),
    "get_trial_param": ("trial", "param"),
    "get_trial_params": ("trial",),
    "get_trial_system_attrs": ("trial",),
    "get_trial_user_attrs": ("trial",),
}


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    opened = open_storage(tmp_path_factory.mktemp("reading") / "optdet.db")
    study = optuna.create_study(storage=opened, study_name="read", direction="maximize")
    study.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0), n_trials=2)
    yield opened
    close_storage(opened)


@pytest.fixture
def keys(storage):
    study_id = storage.get_study_id_from_name("read")
    trial = storage.get_best_trial(study_id)
    return {"study": study_id, "name": "read", "trial": trial._trial_id, "number": trial.number, "param": "x"}


def test_every_way_in_which_optuna_reads_is_known():
    assert set(KEYS) == {name for name in dir(BaseStorage) if name.startswith("get_")}


@pytest.mark.parametrize("name", KEYS)
def test_who_reads_waits_for_no_writer(storage, keys, name):
    read, arguments = getattr(storage, name), [keys[key] for key in KEYS[name]]
    before = read(*arguments)
    with closing(sqlite3.connect(sqlite_file(storage))) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM trial_params")
        writer.execute("UPDATE studies SET study_name = 'changed'")
        assert read(*arguments) == before
        writer.rollback()


def test_a_study_reads_in_the_same_way(storage):
    """Through a cache of Optuna's, which asks what is not public."""
    with closing(sqlite3.connect(sqlite_file(storage))) as writer:
        writer.execute("BEGIN IMMEDIATE")
        study = optuna.load_study(storage=storage, study_name="read")
        assert len(study.get_trials()) == 2
        assert optuna.Trial(study, study.best_trial._trial_id).params == study.best_params
        writer.rollback()


def test_what_another_worker_committed_is_seen(storage, keys):
    before = storage.get_n_trials(keys["study"])
    other = open_storage(sqlite_file(storage))
    other.create_new_trial(keys["study"])
    assert storage.get_n_trials(keys["study"]) == before + 1
    close_storage(other)
