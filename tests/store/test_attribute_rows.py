"""Many attributes of a trial in one transaction, as Optuna reads them."""

from __future__ import annotations

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from sqlalchemy import event

from optdet.store.attribute_rows import set_user_attributes
from optdet.store.engine import open_storage

VALUES = {"none": None, "nested": {"a": [1, 2.5, "'\"é"], "b": True}, "number": 0.1 + 0.2, "text": ""}


@pytest.fixture
def storage(tmp_path):
    return open_storage(tmp_path / "optdet.db")


@pytest.fixture
def study(storage):
    return optuna.create_study(storage=storage)


def test_optuna_reads_what_was_written_at_once(storage, study):
    other, trial = study.ask(), study.ask()
    trial.set_user_attr("text", "before")
    trial.set_user_attr("kept", 1)
    commits = []
    heard = commits.append
    event.listen(storage.engine, "commit", heard)
    set_user_attributes(storage, trial._trial_id, VALUES)
    event.remove(storage.engine, "commit", heard)
    assert len(commits) == 1
    assert study.trials[1].user_attrs == {**VALUES, "kept": 1}
    trial.set_user_attr("number", 7)
    assert study.trials[1].user_attrs == {**VALUES, "kept": 1, "number": 7}
    assert study.trials[other.number].user_attrs == {}


def test_a_trial_that_has_ended_stays_as_it_is(storage, study):
    trial = study.ask()
    study.tell(trial, 1.0)
    with pytest.raises(UpdateFinishedTrialError):
        set_user_attributes(storage, trial._trial_id, VALUES)
    assert study.trials[0].user_attrs == {}
