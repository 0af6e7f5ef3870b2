"""A large study's answer is kept while nothing changes, and never said once something has."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from io import BytesIO

import optuna
import optuna_dashboard
import pytest
from optuna.trial import TrialState, create_trial

from optdet.store.engine import close_storage, open_storage
from optdet.tuning import attributes as attr
from optdet.tuning import dashboard_kept
from optdet.tuning.dashboard_kept import KeptAnswer
from optdet.tuning.dashboard_large import LARGE
from optdet.tuning.dashboard_pages import dashboard_pages, viewing_storage

_NO_TIME = timedelta(0)


@pytest.fixture
def database(tmp_path):
    return tmp_path / "optdet.db"


@pytest.fixture
def study(database):
    storage = open_storage(database)
    study = optuna.create_study(storage=storage, study_name="mine", direction="maximize")
    study.set_user_attr(attr.UUID, "mine")
    study.add_trials([create_trial(value=number / 1000) for number in range(LARGE)])
    yield study
    close_storage(storage)


@pytest.fixture
def pages(study, database, tmp_path):
    """The application that the dashboard serves."""
    storage = viewing_storage(f"sqlite:///{database}")
    yield dashboard_pages(storage, tmp_path)
    close_storage(storage)


@pytest.fixture
def rendered(monkeypatch):
    """The bodies that optuna-dashboard had to make."""
    made = []
    keep = KeptAnswer.keep
    monkeypatch.setattr(KeptAnswer, "keep", lambda *given: (made.append(given[-1]), keep(*given))[1])
    return made


def ask(pages, study, query="after=0"):
    told = []
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": f"/api/studies/{study._study_id}",
        "QUERY_STRING": query,
        "wsgi.input": BytesIO(),
        "wsgi.errors": sys.stderr,
    }
    body = b"".join(pages(environ, lambda *said: told.append(said)))
    status, headers = told[0][:2]
    assert dict(headers)["Content-Length"] == str(len(body))
    assert dict(headers)["Content-Type"].startswith("application/json")
    return status, json.loads(body)


def test_a_study_that_did_not_change_is_answered_from_memory(pages, study, rendered):
    first = ask(pages, study)
    assert ask(pages, study) == ask(pages, study, query="") == first
    assert len(rendered) == 1
    assert len(first[1]["trials"]) == LARGE


def test_every_change_of_the_study_is_said(pages, study, rendered):
    ask(pages, study)
    study.set_user_attr("owner", "us")
    assert {"key": "owner", "value": "us"} in ask(pages, study)[1]["user_attrs"]
    optuna_dashboard.save_note(study, "the first")
    assert ask(pages, study)[1]["note"]["body"] == "the first"
    assert len(rendered) == 3


def test_a_trial_at_work_is_said_and_its_end_too(pages, study, monkeypatch):
    ask(pages, study)
    trial = study.ask()
    # The server itself remembers trials for ten seconds; as if those were over.
    monkeypatch.setattr("optuna_dashboard._storage.timedelta", lambda seconds: _NO_TIME)
    assert ask(pages, study)[1]["trials"][-1]["state"] == "Running"
    study.tell(trial, 0.5)
    assert ask(pages, study)[1]["trials"][-1]["state"] == "Complete"


def test_what_the_server_says_of_a_moment_ago_is_not_kept(pages, study, rendered):
    trial = study.ask()
    assert ask(pages, study)[1]["trials"][-1]["state"] == "Running"
    study.tell(trial, 0.5)
    ask(pages, study)  # the server's memory still has the trial at work
    ask(pages, study)
    assert len(rendered) == 3


def test_only_trials_after_those_that_a_page_has_are_sent(pages, study):
    ask(pages, study)
    assert ask(pages, study, query=f"after={LARGE - 2}")[1]["trials"][0]["number"] == LARGE - 2


def test_a_study_that_is_gone_is_said_to_be(pages, study):
    ask(pages, study)
    optuna.delete_study(study_name="mine", storage=study._storage)
    assert ask(pages, study)[0].startswith("404")


def test_nothing_is_kept_of_a_small_study_or_one_with_work_left(study):
    trials = study.get_trials(deepcopy=False)
    state = dashboard_kept.settled_state
    assert state(study._storage, study._study_id, trials) is not None
    assert state(study._storage, study._study_id, trials[1:]) is None
    waiting = create_trial(state=TrialState.WAITING)
    assert state(study._storage, study._study_id, [*trials, waiting]) is None
