"""Studies in the database: made once, found by name or as the newest, opened to go on with."""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import replace

import optuna
import pytest
from optuna.trial import TrialState, create_trial
from optuna_dashboard._note import get_note_from_system_attrs

from optdet.errors import OptdetError
from optdet.study_config import StudyConfig
from optdet.study_io import one_trial_study
from optdet.tuning import attributes as attr
from optdet.tuning import notes
from optdet.tuning.housekeeping import inner_study_name
from optdet.tuning.overview import study_rows
from optdet.tuning.study import find_study, load_study, open_database
from optdet.tuning.study_creation import create_study, name_for, run_name
from optdet.validation import validate

QUEUE = ({"optimizer.lr": 0.01}, {"optimizer.lr": 0.02})


def finish(database, name, n_trials):
    study = load_study(database, name).study
    study.add_trials([create_trial(value=0.5) for _ in range(n_trials)])


def test_created_then_exists(database, define):
    assert create_study(database, define("one", queue=QUEUE)) == "created"
    before = load_study(database, "one")
    assert create_study(database, define("one", queue=QUEUE)) == "exists"
    after = load_study(database, "one")
    assert after.config == before.config == define("one", queue=QUEUE)
    assert after.uuid == before.uuid
    assert [trial.system_attrs["fixed_params"] for trial in after.study.trials] == list(QUEUE)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"trials": 4}, "trials: 3 there, 4 here"),
        ({"seed": 1}, "seed: 0 there, 1 here"),
        ({"config": {"train": {"epochs": 7}}}, "augment.geometry_prob: 0.0 there, 0.8 here"),
        ({"sampler": {"name": "random"}, "trials": 9}, "sampler.name: tpe there, random here"),
        ({"queue": QUEUE}, "queue"),
    ],
)
def test_another_definition_is_refused_with_its_first_difference(make, shared, define, changes, difference):
    study = make("refused")
    with pytest.raises(OptdetError, match="exists with another definition") as refused:
        create_study(shared, define("refused", **changes))
    assert difference in refused.value.what
    assert refused.value.fix is not None
    assert "--name refused-2" in refused.value.fix
    assert load_study(shared, "refused").config == study.config


def test_the_name_that_a_refusal_offers_is_free(make, shared, define):
    def offered(name):
        with pytest.raises(OptdetError, match="exists with another definition") as refused:
            create_study(shared, define(name, trials=4))
        return str(refused.value.fix).rpartition(" ")[2]

    make("taken")
    for number in (2, 3, 4):
        name = offered("taken")
        assert name == f"taken-{number}"
        make(name)
    assert offered("taken-3") == "taken-5"
    make("resnet-50")
    assert offered("resnet-50") == "resnet-50-2"
    optuna.create_study(storage=shared.storage, study_name="theirs").set_user_attr("their", 1)
    with pytest.raises(OptdetError, match=r"taken by a study that .*; give another: --name theirs-2"):
        create_study(shared, define("theirs"))


class CutOff(BaseException):
    """The end of a process, as far as code can see it."""


@pytest.mark.parametrize("step", range(1, 6))
@pytest.mark.parametrize("again", ["the same", "another"])
def test_a_study_that_was_cut_off_while_it_was_made_is_completed(shared, define, monkeypatch, step, again):
    """After each of the writes: UUID, definition, data root, the two queued trials."""
    name = f"half-{step}-{again.split()[0]}"
    n_done = 0
    for method in ("set_user_attr", "enqueue_trial"):
        original = getattr(optuna.Study, method)

        def counted(self, *args, original=original, **kwargs):
            nonlocal n_done
            if n_done == step:
                raise CutOff
            n_done += 1
            return original(self, *args, **kwargs)

        monkeypatch.setattr(optuna.Study, method, counted)
    with pytest.raises(CutOff):
        create_study(shared, define(name, queue=QUEUE))
    monkeypatch.undo()
    with pytest.raises(OptdetError, match="not made completely; run `create` again"):
        load_study(shared, name)
    assert name not in [row["study"] for row in study_rows(shared)]

    other = {"queue": QUEUE[1:], "seed": 5} if again == "another" else {"queue": QUEUE}
    assert create_study(shared, define(name, **other)) == "created"
    study = load_study(shared, name)
    assert study.config == define(name, **other)
    assert [trial.system_attrs["fixed_params"] for trial in study.study.trials] == list(other["queue"])
    assert find_study(shared, None) == name  # the newest unfinished


def test_a_study_cut_off_before_anything_was_written(database, define):
    optuna.create_study(storage=database.storage, study_name="bare", direction="maximize")
    assert create_study(database, define("bare")) == "created"
    assert load_study(database, "bare").config == define("bare")


def create_in_another_process(url, tree, states):
    database = open_database(url)
    states.put(create_study(database, validate(StudyConfig, tree, "study")))


def test_two_processes_at_once_make_one_study(database, define, monkeypatch):
    original = notes.write_study_note

    def slow(*args):
        """Both are at work here at once, unless one waits for the other."""
        time.sleep(0.5)
        original(*args)

    monkeypatch.setattr(notes, "write_study_note", slow)
    context = multiprocessing.get_context("fork")
    states = context.Queue()
    tree = define("race", queue=QUEUE).as_dict()
    database.storage.engine.dispose()
    workers = [
        context.Process(target=create_in_another_process, args=(database.url, tree, states)) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    assert sorted(states.get(timeout=30) for _ in workers) == ["created", "exists"]
    for worker in workers:
        worker.join()
    assert len(load_study(database, "race").study.trials) == 2
    assert [row["study"] for row in study_rows(database)] == ["race"]


def test_names_of_others_are_refused(database, define):
    theirs = optuna.create_study(storage=database.storage, study_name="theirs", direction="minimize")
    theirs.add_trial(create_trial(value=1.0))
    with pytest.raises(OptdetError, match="'theirs' is taken by a study that optdet did not make"):
        create_study(database, define("theirs"))
    assert theirs.user_attrs == {}
    with pytest.raises(OptdetError, match="not a study of optdet's"):
        load_study(database, "theirs")


def test_inner_studies_can_be_neither_made_nor_opened_by_name(database, define):
    create_study(database, define("outer"))
    name = inner_study_name("outer", 7)
    inner = optuna.create_study(storage=database.storage, study_name=name, direction="maximize")
    inner.set_user_attr(attr.INNER_OF, "outer:7")
    inner.set_user_attr(attr.READY, True)
    with pytest.raises(OptdetError, match=f"'{name}' is taken by the threshold tuning of outer:7"):
        create_study(database, define(name))
    with pytest.raises(OptdetError, match="give the name of the study that it belongs to"):
        load_study(database, name)
    assert find_study(database, None) == "outer"
    assert [row["study"] for row in study_rows(database)] == ["outer"]
    assert [row["study"] for row in study_rows(database, with_inner=True)] == ["outer", name]


def test_no_name_is_the_newest_unfinished_else_the_newest(database, define):
    with pytest.raises(OptdetError, match=r"no study there yet.*optdet study create"):
        find_study(database, None)
    for name in ("a", "b", "c"):
        create_study(database, define(name))
    assert find_study(database, None) == "c"
    finish(database, "c", 3)
    assert find_study(database, None) == "b"
    finish(database, "a", 2)
    finish(database, "b", 3)
    assert find_study(database, None) == "a"
    finish(database, "a", 1)
    assert find_study(database, None) == "c"


def test_an_unknown_name_is_met_with_a_near_one(database, define):
    create_study(database, define("receipts"))
    assert find_study(database, "receipts") == "receipts"
    inner = optuna.create_study(storage=database.storage, study_name="receits-")
    inner.set_user_attr(attr.INNER_OF, "receipts")
    for name, said in (
        ("receipts:1", "receipts:1: a study is asked for, not one of its trials; write receipts"),
        (
            "studies/receipts.yaml",
            "receipts.yaml: the name of a study is asked for, not a file; write receipts",
        ),
    ):
        with pytest.raises(OptdetError, match=said):
            find_study(database, name)
    with pytest.raises(OptdetError, match=r"no study named 'receits'.*did you mean receipts\?"):
        find_study(database, "receits")
    with pytest.raises(OptdetError, match="see `optdet study list`"):
        find_study(database, "xyz")


@pytest.mark.parametrize("name", ["a/b", "../up", "", ".hidden", "x" * 101])
def test_names_that_could_not_be_folders(define, name):
    with pytest.raises(OptdetError, match="name"):
        define(name)


def test_the_data_root_is_stored_relative_to_the_root_and_can_be_replaced(database, define, tmp_path):
    create_study(database, define("rooted"), data_root=tmp_path / "data")
    study = load_study(database, "rooted")
    assert study.study.user_attrs[attr.DATA_ROOT] == "../data"
    assert study.data_root == tmp_path / "data"
    assert load_study(database, "rooted", data_root=tmp_path / "x").data_root == tmp_path / "x"


def test_the_data_root_is_the_working_directory_if_nothing_is_said(database, define, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    create_study(database, define("here"))
    monkeypatch.chdir(os.sep)
    assert load_study(database, "here").data_root == tmp_path / "here"


def test_a_loaded_study_has_its_sampler_and_pruner(make):
    study = make("prunes", pruner={"name": "median", "n_warmup_epochs": 3}, sampler={"name": "random"})
    assert isinstance(study.study.pruner, optuna.pruners.MedianPruner)
    assert type(study.study.sampler).__name__ == "ReproducibleSampler"


def test_the_note_says_what_the_study_is(make):
    study = make("noted", description="Which learning rate?")
    stored = study.storage.get_study_system_attrs(study.study_id)
    note = get_note_from_system_attrs(stored, None)["body"]
    for words in ("# noted", "Which learning rate?", "optimizer.lr", "test_efficientnet", "--artifact-dir"):
        assert words in note


def test_grids(database, define):
    points = {"train.batch_size": {"type": "int", "low": 1, "high": 3}}
    grid = {"sampler": {"name": "grid"}, "space": points}
    assert create_study(database, define("grid", **grid)) == "created"
    with pytest.raises(OptdetError, match="the grid has 3 points, the queue 0, but trials is 4"):
        create_study(database, define("large", **grid, trials=4))
    with pytest.raises(OptdetError, match=r"space: optimizer.lr: a grid needs"):
        create_study(database, define("endless", sampler={"name": "grid"}))
    assert [row["study"] for row in study_rows(database)] == ["grid"]


def test_an_unknown_backbone_is_refused_before_anything_is_made(database, define):
    with pytest.raises(OptdetError, match="test_efficientnot"):
        create_study(database, define("wrong", config={"model": {"backbone": "test_efficientnot"}}))
    assert study_rows(database) == []


def test_a_name_is_a_studys_own_or_the_next_free_one(database, define):
    first, other = define("one", trials=2), define("one", trials=3)
    create_study(database, first)

    assert name_for(database, first) == "one"
    assert name_for(database, other) == "one-2"
    create_study(database, other.model_copy(update={"name": "one-2"}))
    assert name_for(database, other) == "one-2"
    assert name_for(database, define("one", trials=4)) == "one-3"


def test_run_names(database, define):
    """The same settings again go on with their run; others get the next number."""
    config, other = define("x").config, define("x", config={"train": {"epochs": 3}}).config
    assert run_name(database, config, "mine") == "mine"
    create_study(database, one_trial_study(config, "mine"))
    assert run_name(database, config, "mine") == "mine"
    assert run_name(database, other, "mine") == "mine-2"
    create_study(database, one_trial_study(other, "mine-2"))
    assert run_name(database, other, "mine") == "mine-2"
    assert run_name(database, config, "mine") == "mine"


def test_rows_count_trials_by_state(database, define):
    create_study(database, define("rows", queue=QUEUE, trials=9))
    study = load_study(database, "rows").study
    study.ask()
    study.add_trials([create_trial(value=value) for value in (0.25, 0.75)])
    study.add_trial(create_trial(state=TrialState.PRUNED, intermediate_values={1: 0.9}, value=0.9))
    study.add_trial(create_trial(state=TrialState.FAIL))
    [row] = study_rows(database)
    assert row == {
        "study": "rows",
        "finished": 3,
        "trials": 9,
        "complete": 2,
        "pruned": 1,
        "failed": 1,
        "running": 1,
        "waiting": 1,
        "best": 0.75,
    }


def test_no_password_is_kept(database, define):
    secret = replace(database, url="postgresql+psycopg://me:secret@host/name")
    create_study(secret, define("hidden"))
    attrs = secret.storage.get_study_system_attrs(load_study(secret, "hidden").study_id)
    assert "secret" not in str(attrs)
    assert "@host" not in str(attrs)
    with pytest.raises(OptdetError) as caught:
        find_study(secret, "another")
    assert "secret" not in str(caught.value)
