"""Links between studies in their notes: they name what they lead to, whatever is made, copied or deleted."""

from __future__ import annotations

import re

import optuna
import pytest
from optuna.trial import create_trial
from optuna_dashboard import get_note, save_note

from optdet.metrics.scores import PRH
from optdet.store.registry import InnerTrial, save_inner_trials
from optdet.store.submissions import SubmissionRecord, save_submission
from optdet.structures import SubmissionSource, Thresholds
from optdet.tuning import attributes as attr
from optdet.tuning.deletion import delete_study
from optdet.tuning.housekeeping import inner_study_name, keep_best
from optdet.tuning.links import MAX_LINKS, write_links
from optdet.tuning.study import TrialOrigin, load_study
from optdet.tuning.study_copy import copy_study
from optdet.tuning.study_creation import create_study
from optdet.tuning.warm_start import WarmStart

LINK = re.compile(r"\[([^\]]+)\]\(/dashboard/studies/(\d+)(?:/trials\?numbers=(\d+))?\)")


@pytest.fixture
def made(database, define):
    """A study with two complete trials, tuned, whose inner studies are kept; nothing was trained."""

    def make(name, n_trials=2, **how):
        keep = {"maps": 1, "inner_studies": 1, "overlays": 0}
        create_study(database, define(name, keep=keep), **how)
        study = load_study(database, name)
        for number in range(n_trials):
            study.study.add_trial(create_trial(value=0.5 + number / 10))
            points = [Thresholds(0.2 + k / 10, 0.5, 1.5, 1000, False, 3.0) for k in range(3)]
            rows = [InnerTrial(k, point, PRH(0.5, 0.5, 0.5 + k / 100)) for k, point in enumerate(points)]
            save_inner_trials(study.storage, study.uuid, number, rows)
            keep_best(study)
        return study

    return make


def links(database, name):
    """Of a study's note: names with trial numbers, each checked to lead to the study that it names."""
    study = optuna.load_study(storage=database.storage, study_name=name)
    names = {each._study_id: each.study_name for each in database.storage.get_all_studies()}
    found = []
    for text, study_id, number in LINK.findall(get_note(study)):
        plain = text.replace("\\", "")
        assert plain == (f"trial {number}" if number else names[int(study_id)]), text
        found.append((names[int(study_id)], int(number) if number else None))
    return found


def test_inner_and_outer_studies_name_each_other_as_they_come_and_go(made, database):
    study = made("mine_0", n_trials=1)
    first, second = (inner_study_name("mine_0", number) for number in (0, 1))
    assert links(database, "mine_0") == [("mine_0", 0), (first, None)]
    assert links(database, first) == [("mine_0", 0), ("mine_0", None)]
    study.study.add_trial(create_trial(value=0.9))
    keep_best(study)  # the better one's takes its place, and perhaps its id
    assert links(database, "mine_0") == [("mine_0", 1), (second, None)]
    assert links(database, second) == [("mine_0", 1), ("mine_0", None)]


def test_what_a_study_comes_from_is_linked_both_ways(made, database, define):
    study = made("mine")
    origin = TrialOrigin("mine", study.uuid, 1)
    create_study(database, define("folds"), settings_from=origin)
    assert ("mine", 1) in links(database, "folds")
    assert ("folds", None) in links(database, "mine")
    copy_study(study, database, "mine-2")
    assert ("mine", None) in links(database, "mine-2")
    assert ("mine-2", None) in links(database, "mine")
    assert (inner_study_name("mine-2", 1), None) in links(database, "mine-2")
    assert (inner_study_name("mine", 1), None) not in links(database, "mine-2")


def test_a_warm_start_is_linked_both_ways(database, define):
    create_study(database, define("mine"))
    params = {"optimizer.lr": 0.01, "train.batch_size": 1, "loss.negative_ratio": 1.0}
    study = load_study(database, "mine")
    study.study.enqueue_trial(params)
    trial = study.study.ask()
    from optdet.tuning.space import suggest

    suggest(trial, study.config.space)
    study.study.tell(trial, 0.5)
    create_study(database, define("next"), warm_start=WarmStart(database, "mine", 1))
    assert links(database, "next") == [("mine", 0), ("mine", None)]
    assert ("next", None) in links(database, "mine")


def test_no_link_leads_to_a_study_that_has_the_id_or_the_name_of_a_deleted_one(made, database, define):
    origin = made("mine")
    create_study(database, define("folds"), settings_from=TrialOrigin("mine", origin.uuid, 1))
    delete_study(database, "mine")
    assert links(database, "folds") == []
    assert "settings of mine:1, which is not here" in note_of(database, "folds")
    made("mine")
    assert links(database, "folds") == []  # of the same name, and another one
    assert ("folds", None) not in links(database, "mine")


def test_the_last_id_is_given_again(made, database, define):
    origin = made("mine")
    create_study(database, define("last"), settings_from=TrialOrigin("mine", origin.uuid, 0))
    freed = database.storage.get_study_id_from_name("last")
    optuna.delete_study(study_name="last", storage=database.storage)  # by another program
    create_study(database, define("stranger"))
    assert database.storage.get_study_id_from_name("stranger") == freed
    assert not {"last", "stranger"} & {name for name, _ in links(database, "mine")}


def test_an_ensemble_is_named_in_the_notes_of_its_members(made, database):
    ours, others = made("mine"), made("others")
    sources = [
        SubmissionSource("mine:0", ours.uuid),
        SubmissionSource("others:1", others.uuid),
        SubmissionSource("a `file`.csv"),
    ]
    save_submission(database.storage, submission("ens.csv", sources))
    save_submission(database.storage, submission("single.csv", sources[:1]))
    write_links(database.storage)
    for name in ("mine", "others"):
        assert "ensemble `ens.csv` of " in note_of(database, name)
        assert "a 'file'.csv" in note_of(database, name)
        assert {("mine", 0), ("others", 1)} <= set(links(database, name))
        assert "single.csv" not in note_of(database, name)


def submission(path, sources):
    return SubmissionRecord(
        sha256=path.ljust(64, "0"),
        paths=(f"out/{path}",),
        command="ensemble",
        created=1.0,
        written=1.0,
        n_images=1,
        n_polygons=1,
        n_bytes=1,
        image_set="i" * 64,
        sources=tuple(sources),
    )


def note_of(database, name):
    return get_note(optuna.load_study(storage=database.storage, study_name=name))


def test_what_people_wrote_stays(made, database, define):
    study = made("mine")
    save_note(study.study, note_of(database, "mine") + "\n\nmy words")
    create_study(database, define("own"))
    save_note(load_study(database, "own").study, "all mine")
    create_study(database, define("folds"), settings_from=TrialOrigin("mine", study.uuid, 0))
    assert note_of(database, "mine").endswith("\n\nmy words")
    assert ("folds", None) in links(database, "mine")
    assert note_of(database, "own") == "all mine"


def test_a_true_note_is_not_written_again(made, database):
    study = made("mine")
    version = study.storage.get_study_system_attrs(study.study_id)["dashboard:note_ver"]
    write_links(database.storage)
    assert study.storage.get_study_system_attrs(study.study_id)["dashboard:note_ver"] == version


def test_studies_of_other_programs_are_left_alone(made, database):
    theirs = optuna.create_study(storage=database.storage, study_name="theirs")
    made("mine")
    assert get_note(theirs) == ""


def test_of_very_many_links_the_newest_are_shown(made, database, define):
    study = made("mine", n_trials=1)
    for number in range(MAX_LINKS + 3):
        child = optuna.create_study(storage=database.storage, study_name=f"child-{number}")
        child.set_user_attr(attr.UUID, f"u{number}")
        child.set_user_attr(attr.SETTINGS_FROM, {"study": "mine", "uuid": study.uuid, "trial": 0})
    write_links(database.storage)
    shown = {name for name, _ in links(database, "mine")}
    assert "child-2" not in shown
    assert {"child-3", f"child-{MAX_LINKS + 2}"} <= shown
    assert "and 3 more like these, which are older" in note_of(database, "mine")


def test_a_namesake_gets_neither_links_nor_thresholds_of_a_study_that_was_deleted_elsewhere(made, database):
    made("mine", n_trials=1)
    inner = inner_study_name("mine", 0)
    optuna.delete_study(study_name="mine", storage=database.storage)  # as the dashboard does
    made("mine", n_trials=0)
    write_links(database.storage)
    assert links(database, "mine") == []
    assert links(database, inner) == []
    study = load_study(database, "mine")
    study.study.add_trial(create_trial(value=0.7))
    point = Thresholds(0.9, 0.5, 1.5, 1000, False, 3.0)
    save_inner_trials(study.storage, study.uuid, 0, [InnerTrial(0, point, PRH(0.7, 0.7, 0.7))])
    keep_best(study)
    own = optuna.load_study(storage=database.storage, study_name=inner)
    assert own.user_attrs[attr.INNER_OF_UUID] == study.uuid
    assert [trial.value for trial in own.trials] == [0.7]
    assert links(database, "mine") == [("mine", 0), (inner, None)]
