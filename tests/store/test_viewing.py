"""What a page remembers of trials: the same as is stored, also where an id is another study's by now."""

from __future__ import annotations

from functools import partial

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import event

from optdet.store.engine import close_storage, open_storage
from optdet.store.viewing import ViewingStorage


@pytest.fixture
def viewing(url, storage):
    opened = open_storage(url, kind=partial(ViewingStorage, uuid_key="uuid"))
    yield opened
    close_storage(opened)


def shown(storage, study_id):
    return [
        (trial.number, trial.state, trial.values, trial.params, trial.user_attrs, trial.intermediate_values)
        for trial in storage.get_all_trials(study_id, deepcopy=False)
    ]


def test_it_shows_what_is_stored_while_trials_come_and_end(storage, viewing, stored):
    running = []
    for number in range(8):
        trial = stored.study.ask()
        trial.suggest_float("x", 0, 1)
        trial.report(0.1 * number, 1)
        trial.set_user_attr("number", number)
        running.append(trial)
        if number % 3 == 0:
            stored.study.tell(running.pop(0), 0.5)
        assert shown(viewing, stored.study_id) == shown(storage, stored.study_id)
    for trial in running:
        stored.study.tell(trial, state=TrialState.PRUNED)
        assert shown(viewing, stored.study_id) == shown(storage, stored.study_id)


def test_a_finished_trial_is_read_once(viewing, stored):
    for _ in range(3):
        stored.study.tell(stored.study.ask(), 0.5)
    viewing.get_all_trials(stored.study_id, deepcopy=False)
    statements = []
    event.listen(viewing.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    assert len(viewing.get_all_trials(stored.study_id, deepcopy=False)) == 3
    assert not any("trial_values" in statement for statement in statements)


def test_another_study_with_the_id_is_another_study(storage, viewing, stored):
    stored.study.tell(stored.study.ask(), 0.25)
    assert len(viewing.get_all_trials(stored.study_id, deepcopy=False)) == 1
    optuna.delete_study(study_name=stored.uuid, storage=storage)
    other = optuna.create_study(storage=storage, study_name=f"{stored.uuid}-2", direction="maximize")
    other.set_user_attr("uuid", "another")
    other.tell(other.ask(), 0.75)
    found = viewing.get_all_trials(other._study_id, deepcopy=False)
    assert [trial.value for trial in found] == [0.75]
    if storage.engine.dialect.name == "sqlite":
        assert other._study_id == stored.study_id  # what this is about
