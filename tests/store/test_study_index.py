"""Studies at a glance: names, attributes, trials by state, best values."""

from __future__ import annotations

import math

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from optdet.store.engine import close_storage, open_storage
from optdet.store.study_index import Standing, best_values, list_studies, standing_of


@pytest.fixture
def storage(tmp_path):
    opened = open_storage(tmp_path / "optdet.db")
    yield opened
    close_storage(opened)


def create(storage, name, direction="maximize"):
    return optuna.create_study(storage=storage, study_name=name, direction=direction)


def test_an_empty_database(storage):
    assert list_studies(storage) == []
    assert best_values(storage) == {}


def test_studies_come_oldest_first_with_the_attributes_asked_for(storage):
    for name in ("z", "a", "m"):
        create(storage, name).set_user_attr("key", {"of": [name, 1.5, None]})
    create(storage, "bare").set_user_attr("other", 1)
    rows = list_studies(storage, attributes=("key",))
    assert [row.name for row in rows] == ["z", "a", "m", "bare"]
    assert [row.attributes for row in rows] == [
        *({"key": {"of": [name, 1.5, None]}} for name in ("z", "a", "m")),
        {},
    ]
    assert [row.study_id for row in rows] == [storage.get_study_id_from_name(row.name) for row in rows]
    assert all(row.attributes == {} for row in list_studies(storage))


def test_trials_are_counted_by_state(storage):
    study = create(storage, "counted")
    create(storage, "empty")
    study.add_trials([create_trial(value=0.5) for _ in range(3)])
    study.add_trial(create_trial(state=TrialState.PRUNED, value=0.1, intermediate_values={1: 0.1}))
    study.add_trials([create_trial(state=TrialState.FAIL) for _ in range(2)])
    study.ask()
    study.enqueue_trial({"x": 1})
    counted, empty = list_studies(storage)
    assert counted.n_trials == {"COMPLETE": 3, "PRUNED": 1, "FAIL": 2, "RUNNING": 1, "WAITING": 1}
    assert counted.n_finished == 4
    assert (empty.n_trials, empty.n_finished) == ({}, 0)


def test_best_values_are_of_complete_trials(storage):
    study = create(storage, "one")
    study.add_trials([create_trial(value=value) for value in (0.25, 0.75, 0.5)])
    study.add_trial(create_trial(state=TrialState.PRUNED, value=0.9, intermediate_values={1: 0.9}))
    pruned = create(storage, "only pruned")
    pruned.add_trial(create_trial(state=TrialState.PRUNED, value=0.9, intermediate_values={1: 0.9}))
    assert best_values(storage) == {study._study_id: 0.75}


def test_how_a_study_stands(storage):
    study = create(storage, "one")
    create(storage, "other").add_trial(create_trial(value=1.0))
    assert standing_of(storage, study._study_id) == Standing({}, None, None)
    study.add_trials([create_trial(value=value) for value in (0.25, 0.75, 0.75)])
    study.add_trial(create_trial(state=TrialState.PRUNED, value=0.9, intermediate_values={1: 0.9}))
    assert standing_of(storage, study._study_id) == Standing({"COMPLETE": 3, "PRUNED": 1}, 0.75, 1)


def test_infinite_values_of_other_programs_are_left_out(storage):
    create(storage, "theirs", "minimize").add_trial(create_trial(value=math.inf))
    assert best_values(storage) == {}
