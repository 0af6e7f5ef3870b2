"""Queued trials: their values as given, before any that is sampled."""

from __future__ import annotations

import pytest

from optdet.errors import OptdetError
from optdet.tuning import attributes as attr
from optdet.tuning.queue import enqueue_trial, withdraw_trial
from optdet.tuning.run import run_study
from optdet.tuning.space import suggest


def params_of(study, n_trials):
    return [suggest(study.study.ask(), study.config.space) for _ in range(n_trials)]


def test_queued_trials_come_first_and_in_order(make, recwarn):
    study = make("queued", queue=({"optimizer.lr": 0.5, "train.batch_size": 8}, {"optimizer.lr": 0.011}))
    assert enqueue_trial(study, ["optimizer.lr=0.012", "loss.negative_ratio=2"]) == {
        "optimizer.lr": 0.012,
        "loss.negative_ratio": 2.0,
    }
    first, second, third, fourth = params_of(study, 4)
    assert (first["optimizer.lr"], first["train.batch_size"]) == (0.5, 8)  # both outside their ranges
    assert second["optimizer.lr"] == 0.011
    assert (third["optimizer.lr"], third["loss.negative_ratio"]) == (0.012, 2.0)
    assert 0.003 <= fourth["optimizer.lr"] <= 0.03
    assert not [warning for warning in recwarn if "out of range" in str(warning.message)]


def test_what_is_left_out_is_sampled_inside_its_range(make):
    study = make("partly", queue=({"optimizer.lr": 0.5},))
    [params] = params_of(study, 1)
    assert params["train.batch_size"] in {1, 2}
    assert params["loss.negative_ratio"] in {1.0, 2.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optimizer.beta1=0.8", "'optimizer.beta1' is not in the space of refusing; it varies optimizer.lr"),
        ("optimizer.lr", "not an override"),
        ("optimizer.lr=fast", "optimizer.lr"),
        ("optimizer.lr=-1", "optimizer.lr"),
        ("train.batch_size=1.5", "batch_size"),
        ("loss.negative_ratio=3", r"loss.negative_ratio has no choice 3.0; choose among 1.0, 2.0"),
    ],
)
def test_errors_queue_nothing(make, text, message):
    study = make("refusing")
    with pytest.raises(OptdetError, match=message):
        enqueue_trial(study, [text])
    assert study.study.get_trials() == []


def test_a_queued_trial_is_taken_back_and_a_begun_one_is_not(make, recorder):
    study = make("taken-back", trials=1, queue=({"optimizer.lr": 0.01},))
    enqueue_trial(study, ["optimizer.lr=0.5"])
    withdraw_trial(study, 1)
    assert run_study(study, recorder()).reason == "full"
    assert [trial.state.name for trial in study.study.trials] == ["COMPLETE", "FAIL"]
    assert study.study.trials[1].user_attrs[attr.FAILURE] == "taken out of the queue"
    with pytest.raises(OptdetError, match="trial 0 is complete; only trials that are queued"):
        withdraw_trial(study, 0)
