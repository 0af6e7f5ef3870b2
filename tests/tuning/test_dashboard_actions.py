"""What people do in the dashboard costs no files and no trials: rename, delete, upload, tell."""

from __future__ import annotations

import io
import json
import sys

import optuna
import pytest
from optuna.trial import TrialState

from optdet.errors import OptdetError
from optdet.tuning import attributes as attr
from optdet.tuning import worker
from optdet.tuning.attachments import attach, attach_anew, attached_names
from optdet.tuning.cleaning import clean
from optdet.tuning.dashboard_pages import dashboard_pages, viewing_storage
from optdet.tuning.deletion import delete_study
from optdet.tuning.objective import Result
from optdet.tuning.run import run_study
from optdet.tuning.slot_trial import begun_trial
from optdet.tuning.study import find_study, load_study, open_database
from optdet.tuning.study_copy import copy_study
from optdet.tuning.study_creation import create_study


@pytest.fixture
def study(database, define):
    create_study(database, define("mine", trials=2))
    database.places.artifacts_dir.mkdir(parents=True)
    return load_study(database, "mine")


@pytest.fixture
def ask(database):
    """``ask(method, path, body)`` of the dashboard's pages: the answer, of a status that is no error."""

    def asked(method, path, body=None):
        pages = dashboard_pages(viewing_storage(database.url), database.places.artifacts_dir)
        content = json.dumps(body or {}).encode()
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(content)),
            "wsgi.input": io.BytesIO(content),
            "wsgi.errors": sys.stderr,
            "wsgi.url_scheme": "http",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
        }
        said = []
        answer = b"".join(pages(environ, lambda status, *_: said.append(status)))
        assert said[0].startswith("2"), (said, answer)
        return json.loads(answer) if answer else None

    return asked


@pytest.fixture
def acting(recorder):
    """A recorder that does something once, after the first epoch that it hears of."""

    def made(act):
        heard = recorder()
        done = []

        def epoch(_record):
            if not done:
                done.append(True)
                act()

        heard.epoch = epoch
        return heard

    return made


def with_files(study):
    """A finished trial with a run folder and a picture, without training."""
    trial = study.study.ask()
    checkpoint = study.places.run_dir("mine", trial.number) / "checkpoints" / "best-0001.pt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"weights")
    picture = study.places.root / "curve.png"
    picture.write_bytes(b"picture")
    attach(study.storage, trial, study.places.artifacts_dir, [picture])
    study.study.tell(trial, 0.5)
    return checkpoint


def test_a_renamed_study_keeps_its_files_and_both_its_names(study, database, ask, define):
    checkpoint = with_files(study)
    ask("POST", f"/api/studies/{study.study_id}/rename", {"study_name": "better name"})
    cleaned = clean(open_database(database.url))
    assert [waste.name for waste in cleaned.waste if "mine" in waste.name] == []
    assert checkpoint.exists()
    assert len(list(database.places.artifacts_dir.iterdir())) == 1
    for name in ("mine", "better name"):
        found = find_study(database, name)
        assert found == "better name"
        assert load_study(database, found).places.run_dir("mine", 0) == checkpoint.parent.parent
    with pytest.raises(OptdetError, match=r"made as 'mine' and renamed has its files there"):
        create_study(database, define("mine"))
    with pytest.raises(OptdetError, match=r"made as 'mine' and renamed has its files there"):
        copy_study(load_study(database, "better name"), database)
    assert copy_study(load_study(database, "better name"), database, "copied").n_trials == 1
    assert delete_study(database, "copied").n_trials == 1
    assert checkpoint.exists()
    assert delete_study(database, "better name").n_trials == 1
    assert not checkpoint.exists()
    assert list(database.places.artifacts_dir.iterdir()) == []
    assert create_study(database, define("mine")) == "created"


def test_a_study_that_is_deleted_while_it_trains_ends_its_run_and_touches_no_other(
    study, database, ask, acting, define
):
    """The next study may get its id, and its first trial that of the one in work."""
    other = []

    def delete():
        ask("DELETE", f"/api/studies/{study.study_id}")
        create_study(database, define("other"))
        other.append(load_study(database, "other"))
        other[0].study.ask()

    with pytest.raises(OptdetError, match="this study was deleted; see `optdet study list`"):
        run_study(study, acting(delete))
    assert other[0].study_id == study.study_id
    [trial] = other[0].study.trials
    assert (trial.state, trial.intermediate_values, trial.user_attrs) == (TrialState.RUNNING, {}, {})


def test_a_study_without_another_in_its_place_says_so_too(study, ask, recorder, monkeypatch):
    def delete(*_):
        ask("DELETE", f"/api/studies/{study.study_id}")

    monkeypatch.setattr(worker, "begun_trial", lambda *given: delete() or begun_trial(*given))
    with pytest.raises(OptdetError, match="this study was deleted"):
        run_study(study, recorder())


def test_a_trial_that_somebody_ends_is_left_and_the_next_one_runs(study, acting):
    def end():
        trial = study.study.trials[0]
        study.storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)

    heard = acting(end)
    assert run_study(study, heard).reason == "full"
    assert "this trial was ended by somebody else; going on with the next" in heard.said
    assert [trial.state.name for trial in study.study.trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert attr.FAILURE not in study.study.trials[0].user_attrs


def test_one_that_is_ended_between_its_last_step_and_its_end_is_left_too(study, recorder, monkeypatch):
    def ended(context, trial, **_):
        study.storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        monkeypatch.undo()
        return Result(0.5, checkpoint=None)

    monkeypatch.setattr(worker, "run_objective", ended)
    heard = recorder()
    assert run_study(study, heard, total=1).reason == "full"
    assert "this trial was ended by somebody else; going on with the next" in heard.said
    assert [trial.state.name for trial in study.study.trials] == ["FAIL", "COMPLETE"]


def test_a_file_that_was_uploaded_and_deleted_again_is_no_ones_concern(study, ask, acting, database):
    def upload():
        place = f"/api/artifacts/{study.study_id}/{study.study.trials[0]._trial_id}"
        sent = {"file": "data:text/plain;base64,aGVsbG8=", "filename": "note.txt"}
        ask("DELETE", f"{place}/{ask('POST', place, sent)['artifact_id']}")

    heard = acting(upload)
    run_study(study, heard, total=1)
    assert [outcome.state for outcome in heard.outcomes] == ["complete"]


def test_a_report_whose_file_was_deleted_there_is_attached_anew(study, ask, database):
    report = database.places.root / "report.html"
    for text in ("one", "two"):
        report.write_text(text)
        attach_anew(study.storage, study.study, database.places, report)
        stored = study.storage.get_study_system_attrs(study.study_id)
        [there] = [key for key, value in stored.items() if key.startswith("artifacts:") and value != "null"]
        assert (database.places.artifacts_dir / there.partition(":")[2]).read_text() == text
        ask("DELETE", f"/api/artifacts/{study.study_id}/{there.partition(':')[2]}")
    assert attached_names(study.storage, study.study) == frozenset()


def test_a_study_deleted_there_and_made_again_begins_with_no_files_of_the_former(
    study, database, ask, recorder, define, small_epochs
):
    def interrupt(_record):
        raise KeyboardInterrupt

    heard = recorder()
    heard.epoch = interrupt
    with pytest.raises(KeyboardInterrupt):
        run_study(study, heard)
    assert list(study.places.run_dir("mine", 0).rglob("*.pt"))
    ask("DELETE", f"/api/studies/{study.study_id}")
    create_study(database, define("mine", trials=1, config=small_epochs))
    heard = recorder()
    assert run_study(load_study(database, "mine"), heard).reason == "full"
    assert [outcome.state for outcome in heard.outcomes] == ["complete"]
    assert heard.resumed_after == []


@pytest.fixture
def small_epochs(define):
    tree = define("x").config.model_dump(mode="json")
    tree["optimizer"]["weight_decay"] = 0.001
    return tree


def test_a_copys_deletion_leaves_the_pictures_that_the_original_shows(study, database, ask):
    with_files(study)
    copy_study(study, database, "copied")
    copied = load_study(database, "copied")
    [picture] = database.places.artifacts_dir.iterdir()
    ask("DELETE", f"/api/studies/{copied.study_id}")
    assert picture.exists()
    ask("DELETE", f"/api/studies/{study.study_id}")
    assert not picture.exists()
    assert optuna.get_all_study_names(storage=database.storage) == []
