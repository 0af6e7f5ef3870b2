"""A new study begins with another one's best parameters: chosen once, said, and part of its definition."""

from __future__ import annotations

import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.trial import create_trial

from optdet.errors import OptdetError
from optdet.search_space import Choice, FloatRange, IntRange
from optdet.tuning import attributes as attr
from optdet.tuning import study as studies
from optdet.tuning.run import run_study
from optdet.tuning.space import distributions, suggest
from optdet.tuning.study import load_study
from optdet.tuning.study_creation import create_study
from optdet.tuning.warm_start import WarmStart, warm_start_of

LR, BATCH, RATIO = "optimizer.lr", "train.batch_size", "loss.negative_ratio"
WIDE = {
    LR: FloatRange(type="float", low=1e-5, high=1.0),
    BATCH: IntRange(type="int", low=1, high=64),
    RATIO: Choice(type="categorical", choices=(1.0, 2.0, 3.0)),
}
BEST = ((0.9, {LR: 0.02, BATCH: 2, RATIO: 1.0}), (0.8, {LR: 0.01, BATCH: 1, RATIO: 2.0}))


@pytest.fixture
def make_source(database, define):
    """A study with complete trials of these values and parameters."""

    def made(trials, name="old", **changes):
        space = {key: dimension.model_dump() for key, dimension in WIDE.items()}
        create_study(database, define(name, **({"space": space} | changes)))
        study = load_study(database, name)
        for value, params in trials:
            known = distributions({key: WIDE[key] for key in params})
            study.study.add_trial(create_trial(value=value, params=params, distributions=known))
        return study

    return made


@pytest.fixture
def warm(database, define):
    """A study that is made with the best of ``old``."""

    def made(name="new", top=3, *, of="old", **changes):
        config = define(name, **changes)
        state = create_study(database, config, warm_start=WarmStart(database, of, top))
        return state, load_study(database, name)

    return made


def queued(study):
    return [trial.system_attrs["fixed_params"] for trial in study.study.get_trials()]


def test_the_best_come_first_behind_the_queue_of_the_file(make_source, warm):
    worse = [(value / 10, {LR: value / 100, BATCH: 1, RATIO: 1.0}) for value in (1, 2, 3)]
    make_source([*worse, *reversed(BEST)])
    state, study = warm(queue=({LR: 0.5},))
    assert state == "created"
    own, *others = queued(study)
    assert own == {LR: 0.5}
    assert others == [BEST[0][1], BEST[1][1], worse[2][1]]
    assert study.config.queue == (own, *others)
    links = [trial.user_attrs for trial in study.study.get_trials()]
    assert links == [{}, *({attr.WARM_START_FROM: f"old:{number}"} for number in (4, 3, 2))]
    record = warm_start_of(study)
    assert [entry["trial"] for entry in record["queued"]] == [4, 3, 2]
    assert record["queued"][0]["value"] == 0.9


def test_what_is_queued_runs_with_those_values(make_source, warm, recorder):
    make_source(BEST)
    _, study = warm(trials=1)
    assert run_study(study, recorder()).reason == "full"
    assert study.study.get_trials()[0].params == BEST[0][1]


def test_names_that_are_missing_are_sampled_and_others_do_not_matter(make_source, warm, define):
    own = dict(define("x").space)
    make_source([(0.9, {LR: 0.02, BATCH: 2})])
    _, study = warm(space={LR: own[LR].model_dump(), RATIO: own[RATIO].model_dump()})
    assert queued(study) == [{LR: 0.02}]
    (entry,) = warm_start_of(study)["queued"]
    assert (entry["sampled"], entry["outside"], entry["left_out"]) == ([RATIO], [], {})
    params = suggest(study.study.ask(), study.config.space)
    assert params[LR] == 0.02
    assert params[RATIO] in {1.0, 2.0}


def test_outside_of_a_range_it_is_queued_and_what_is_no_choice_is_left_out(make_source, warm):
    make_source([(0.9, {LR: 0.5, BATCH: 8, RATIO: 3.0})])
    _, study = warm()
    assert queued(study) == [{LR: 0.5, BATCH: 8}]
    (entry,) = warm_start_of(study)["queued"]
    assert (entry["outside"], entry["left_out"]) == ([LR, BATCH], {RATIO: 3.0})
    assert suggest(study.study.ask(), study.config.space)[LR] == 0.5


def test_the_same_parameters_are_queued_once_and_the_next_best_take_their_place(make_source, warm):
    again = (0.85, {**BEST[0][1], RATIO: 1.0})
    in_file = (0.95, {LR: 0.03, BATCH: 1, RATIO: 2.0})
    make_source([*BEST, again, in_file])
    _, study = warm(top=2, queue=(in_file[1],))
    assert queued(study) == [in_file[1], BEST[0][1], BEST[1][1]]
    passed = {entry["trial"]: entry["reason"] for entry in warm_start_of(study)["passed"]}
    assert passed == {3: "the same as queue[0] of the file", 2: "the same as trial 0"}


def test_a_trial_of_which_no_value_is_left_is_passed_over(make_source, warm):
    only = {RATIO: {"type": "categorical", "choices": [1.0, 2.0]}}
    make_source([(0.9, {RATIO: 3.0}), (0.8, {RATIO: 2.0})])
    _, study = warm(space=only)
    assert queued(study) == [{RATIO: 2.0}]
    assert warm_start_of(study)["passed"][0]["reason"] == "none of its values is a choice here"


def test_a_trial_with_a_value_that_the_setting_refuses_is_passed_over(make_source, warm):
    old = make_source(BEST)
    older = {"params": {BATCH: 0}, "distributions": {BATCH: IntDistribution(0, 8)}}
    old.study.add_trial(create_trial(value=0.99, **older))
    _, study = warm()
    assert queued(study) == [BEST[0][1], BEST[1][1]]
    (passed,) = warm_start_of(study)["passed"]
    assert passed["trial"] == 2
    assert passed["reason"].startswith("train.batch_size: ")


def test_made_again_it_exists_though_the_other_study_has_moved_on_or_is_gone(
    make_source, warm, database, define
):
    old = make_source(BEST)
    warm()
    known = distributions(WIDE)
    old.study.add_trial(
        create_trial(value=0.99, params={LR: 0.03, BATCH: 1, RATIO: 1.0}, distributions=known)
    )
    assert warm()[0] == "exists"
    optuna.delete_study(study_name="old", storage=database.storage)
    state, study = warm()
    assert state == "exists"
    assert queued(study) == [BEST[0][1], BEST[1][1]]
    assert create_study(database, define("new")) == "exists"


@pytest.mark.parametrize(
    ("made", "wished", "message"),
    [
        (("old", 3), ("old", 2), r"warm start: the best 3 of old there, the best 2 of old here"),
        (("old", 3), ("other", 3), r"the best 3 of old there, the best 3 of other here"),
        (None, ("old", 3), r"warm start: none there, the best 3 of old here"),
    ],
)
def test_another_wish_is_another_definition(make_source, database, define, made, wished, message):
    make_source(BEST)
    make_source(BEST, name="other")
    first, second = (WarmStart(database, *wish) if wish else None for wish in (made, wished))
    create_study(database, define("new"), warm_start=first)
    with pytest.raises(OptdetError, match=message + r".*--name new-2"):
        create_study(database, define("new"), warm_start=second)


def test_another_file_is_another_definition_whatever_was_queued(make_source, warm):
    make_source(BEST)
    warm(queue=({LR: 0.5},))
    with pytest.raises(OptdetError, match=r"another definition .*queue"):
        warm(queue=({LR: 0.4},))
    with pytest.raises(OptdetError, match=r"another definition .*trials: 3 there, 9 here"):
        warm(queue=({LR: 0.5},), trials=9)


@pytest.mark.parametrize("other_moves_on", [False, True])
def test_one_that_was_cut_off_is_completed_with_what_holds_then(
    make_source, warm, monkeypatch, other_moves_on
):
    old = make_source(BEST)

    def killed(*_args, **_kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("optdet.tuning.notes.write_study_note", killed)
        with pytest.raises(KeyboardInterrupt):
            warm()
    expected = [BEST[0][1], BEST[1][1]]
    if other_moves_on:
        newest = {LR: 0.03, BATCH: 1, RATIO: 1.0}
        old.study.add_trial(create_trial(value=0.99, params=newest, distributions=distributions(WIDE)))
        expected.insert(0, newest)
    assert warm()[0] == "created"
    assert queued(load_study(old.database, "new")) == expected


def test_one_that_was_cut_off_may_be_made_without_the_other_study(
    make_source, warm, database, define, monkeypatch
):
    make_source(BEST)
    own = tuple(params for _, params in BEST)  # so that nothing is left to be queued behind it

    def killed(*_args, **_kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("optdet.tuning.notes.write_study_note", killed)
        with pytest.raises(KeyboardInterrupt):
            warm(queue=own)
    assert create_study(database, define("new", queue=own)) == "created"
    assert warm_start_of(load_study(database, "new")) is None


def test_a_grid_may_have_as_many_trials_more(make_source, warm):
    space = {BATCH: {"type": "int", "low": 1, "high": 2}, RATIO: WIDE[RATIO].model_dump()}
    make_source(BEST)
    assert warm(space=space, sampler={"name": "grid"}, trials=8)[0] == "created"
    with pytest.raises(OptdetError, match="the grid has 6 points, the queue 2"):
        warm("more", space=space, sampler={"name": "grid"}, trials=9)
    assert warm(space=space, sampler={"name": "grid"}, trials=8)[0] == "exists"


@pytest.mark.parametrize(
    ("of", "changes", "message"),
    [
        ("odl", {}, "no study named 'odl'.*did you mean old"),
        ("new", {}, "'new' cannot start from itself.*--name new-2"),
        ("empty", {}, "empty has no complete trial.*optdet study run empty"),
        (
            "old",
            {"space": {"optimizer.weight_decay": {"type": "float", "low": 0.0, "high": 0.1}}},
            "old varies optimizer.lr, .*new optimizer.weight_decay.*no name in common",
        ),
    ],
)
def test_errors_make_nothing(make_source, warm, database, of, changes, message):
    make_source(BEST)
    make_source([], name="empty")
    with pytest.raises(OptdetError, match=message):
        warm(of=of, **changes)
    assert "new" not in {row.name for row in studies.all_studies(database)}
