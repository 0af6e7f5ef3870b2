"""Many trials in one transaction, as Optuna would have stored them one by one."""

from __future__ import annotations

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import create_trial
from sqlalchemy import event

from optdet.store.finished_trials import add_finished_trials

SPACE = {
    "thresh": FloatDistribution(0.05, 0.95, step=0.05),
    "unclip_ratio": FloatDistribution(1.0, 3.0, log=True),
    "max_candidates": IntDistribution(100, 1000, step=100),
    "use_polygon": CategoricalDistribution((False, True)),
}


def trials():
    params = {"thresh": 0.1 + 0.2, "unclip_ratio": 1 / 0.7, "max_candidates": 600, "use_polygon": True}
    return [
        create_trial(value=1 / 3, params=params, distributions=SPACE, user_attrs={"recall": 0.7, "é": [1]}),
        create_trial(value=0.0, user_attrs={"thresh": 2.0}),
        create_trial(value=1.0, params=params | {"use_polygon": False}, distributions=SPACE),
    ]


def seen(study):
    return [
        {key: value for key, value in vars(trial).items() if key != "_trial_id"}
        for trial in study.get_trials()
    ]


def test_they_are_what_optuna_would_have_stored(storage, stored):
    other = optuna.create_study(storage=storage, study_name=f"{stored.uuid}-one-by-one", direction="maximize")
    made = trials()
    stored.study.add_trial(made[1])
    add_finished_trials(storage, stored.study_id, made)
    for trial in (made[1], *made):
        other.add_trial(trial)
    assert seen(stored.study) == seen(other)
    assert [trial.number for trial in stored.study.trials] == [0, 1, 2, 3]
    assert stored.study.best_trial.number == other.best_trial.number == 3
    stored.study.ask()
    assert stored.study.trials[4].number == 4


def test_one_transaction_and_all_or_none(storage, stored):
    began = []
    heard = began.append
    event.listen(storage.engine, "commit", heard)
    add_finished_trials(storage, stored.study_id, trials())
    event.remove(storage.engine, "commit", heard)
    assert len(began) <= 2  # a look at the tables, and the rows
    broken = create_trial(value=0.5, user_attrs={"a": 1, "k" * 3: object()})
    with pytest.raises(TypeError):
        add_finished_trials(storage, stored.study_id, [*trials(), broken])
    assert len(stored.study.get_trials()) == 3


def test_none_at_all(storage, stored):
    add_finished_trials(storage, stored.study_id, [])
    assert stored.study.get_trials() == []
