"""Streams of suggestions that do not notice when their process dies."""

from __future__ import annotations

import itertools

import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from optdet.errors import OptdetError
from optdet.search_space import Choice, FloatRange, IntRange
from optdet.tuning.pruner import build_pruner
from optdet.tuning.sampler import GridSampler, build_sampler, count_grid, derived_seed, grid_values
from optdet.tuning.space import suggest

N_TRIALS = 10
SAMPLERS = [
    {"name": "tpe", "n_startup_trials": 4},
    {"name": "tpe", "n_startup_trials": 4, "multivariate": False},
    {"name": "random"},
]
GRID = {
    "train.batch_size": {"type": "int", "low": 1, "high": 3},
    "loss.negative_ratio": {"type": "categorical", "choices": [1.0, 2.0]},
}


def value_of(params):
    return -abs(params["optimizer.lr"] - 0.01) - params["train.batch_size"]


class Restarted:
    """A study of which nothing survives but the storage: study and sampler are made anew on every access."""

    def __init__(self, config):
        self.config = config
        self.storage = InMemoryStorage()
        optuna.create_study(storage=self.storage, study_name=config.name, direction="maximize")

    @property
    def study(self):
        return optuna.load_study(
            storage=self.storage, study_name=self.config.name, sampler=build_sampler(self.config)
        )


def stream(config, *, restart):
    """The parameters of N_TRIALS trials; ``restart``: never, between trials, or within each as well."""
    source = Restarted(config)
    study = source.study
    for _ in range(N_TRIALS):
        if restart != "never":
            study = source.study
        trial = study.ask()
        for end in range(1, len(config.space) + 1):
            if restart == "within":
                study = source.study
                trial = optuna.Trial(study, trial._trial_id)
            params = suggest(trial, dict(itertools.islice(config.space.items(), end)))
        study.tell(trial, value_of(params))
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=["tpe", "univariate tpe", "random"])
@pytest.mark.parametrize("restart", ["between", "within"])
def test_a_restart_does_not_change_the_stream(define, sampler, restart):
    config = define("stream", sampler=sampler, seed=3)
    assert stream(config, restart=restart) == stream(config, restart="never")


@pytest.mark.parametrize("sampler", SAMPLERS, ids=["tpe", "univariate tpe", "random"])
def test_every_trial_has_draws_of_its_own(define, sampler):
    config = define("stream", sampler=sampler)
    rates = [params["optimizer.lr"] for params in stream(config, restart="between")]
    assert len(set(rates)) == N_TRIALS


def test_names_have_draws_of_their_own(define):
    rate = {"type": "float", "low": 0.0, "high": 1.0}
    space = {"optimizer.beta1": rate, "optimizer.beta2": rate}
    source = Restarted(define("names", space=space, sampler={"name": "random"}))
    params = suggest(source.study.ask(), source.config.space)
    assert params["optimizer.beta1"] != params["optimizer.beta2"]


def test_the_study_seed_decides(define):
    one, same, other = (stream(define("stream", seed=seed), restart="never") for seed in (1, 1, 2))
    assert one == same != other


def test_tpe_learns_after_its_startup_trials(define):
    """Up to there it draws as the random sampler does; from there on its history decides."""
    learning = stream(define("stream", sampler=SAMPLERS[0]), restart="never")
    random = stream(define("stream", sampler={"name": "random"}), restart="never")
    assert learning[:4] == random[:4]
    assert all(one != other for one, other in zip(learning[4:], random[4:], strict=True))


def test_seeds_never_change():
    """Studies that are stored go on with what these give."""
    assert derived_seed(0, 7) == 1369798745
    assert derived_seed(0, 7, "optimizer.lr") == 3977563649
    assert derived_seed(12, "postprocess") == 1582187206


def run_grid(config, *, fail=()):
    source = Restarted(config)
    for number in range(config.trials + len(fail)):
        study = source.study
        trial = study.ask()
        suggest(optuna.Trial(source.study, trial._trial_id), config.space)
        study.tell(trial, **({"state": TrialState.FAIL} if number in fail else {"values": 1.0}))
    return source.study.trials


def test_a_grid_is_covered_once(define):
    config = define("grid", space=GRID, sampler={"name": "grid"}, trials=6)
    points = [tuple(trial.params.values()) for trial in run_grid(config)]
    assert sorted(points) == [(1, 1.0), (1, 2.0), (2, 1.0), (2, 2.0), (3, 1.0), (3, 2.0)]
    other = [tuple(trial.params.values()) for trial in run_grid(config.model_copy(update={"seed": 5}))]
    assert sorted(other) == sorted(points)
    assert other != points


def test_a_grid_is_covered_once_with_hyperband(define):
    """Optuna shows a sampler the trials of one bracket, of which there are two here."""
    pruner = {"name": "hyperband", "min_epochs": 8, "eta": 2}
    config = define("grid", space=GRID, sampler={"name": "grid"}, pruner=pruner, trials=6)
    study = Restarted(config).study
    study.pruner = build_pruner(config.pruner, 20)
    points = set()
    for _ in range(6):
        trial = study.ask()
        points.add(tuple(suggest(trial, config.space).values()))
        trial.report(0.5, 1)
        trial.should_prune()  # as a run does: the brackets are made here
        study.tell(trial, 0.5)
    assert len(points) == 6


def test_points_of_failed_trials_are_given_again(define):
    config = define("grid", space=GRID, sampler={"name": "grid"}, trials=6)
    trials = run_grid(config, fail=(1, 4))
    done = [tuple(trial.params.values()) for trial in trials if trial.state == TrialState.COMPLETE]
    assert len(done) == len(set(done)) == 6
    assert trials[1].params == trials[2].params


def test_a_trial_that_was_cut_off_without_its_point_takes_none_that_a_later_one_has(define):
    source = Restarted(define("grid", space=GRID, sampler={"name": "grid"}, trials=6))
    cut_off = source.study.ask()
    later = [suggest(source.study.ask(), source.config.space) for _ in range(5)]
    own = suggest(optuna.Trial(source.study, cut_off._trial_id), source.config.space)
    assert len({tuple(params.values()) for params in (*later, own)}) == 6


def test_a_trial_that_was_cut_off_between_two_parameters_keeps_the_first(define):
    source = Restarted(define("grid", space=GRID, sampler={"name": "grid"}, trials=6))
    cut_off = source.study.ask()
    begun = suggest(cut_off, dict(itertools.islice(source.config.space.items(), 1)))
    later = [suggest(source.study.ask(), source.config.space) for _ in range(5)]
    own = suggest(optuna.Trial(source.study, cut_off._trial_id), source.config.space)
    assert begun.items() <= own.items()
    assert len({tuple(params.values()) for params in later}) == 5


@pytest.mark.parametrize("seed", range(4))
def test_queued_trials_with_some_of_a_points_values_get_points_that_none_has(define, seed):
    source = Restarted(define("grid", space=GRID, sampler={"name": "grid"}, trials=6, seed=seed))
    name = list(GRID)[1]
    value = grid_values(source.config.space[name])[0]
    for _ in range(3):
        source.study.enqueue_trial({name: value})
    own = [suggest(source.study.ask(), source.config.space) for _ in range(3)]
    assert {params[name] for params in own} == {value}
    assert len({tuple(params.values()) for params in own}) == 3


def test_more_trials_than_points_repeat_some(define):
    config = define("grid", space=GRID, sampler={"name": "grid"}, trials=8)
    points = [tuple(trial.params.values()) for trial in run_grid(config)]
    assert len(points) == 8
    assert len(set(points)) == 6


def test_grid_values():
    assert grid_values(FloatRange(type="float", low=0.1, high=0.7, step=0.2)) == [0.1, 0.3, 0.5, 0.7]
    assert grid_values(FloatRange(type="float", low=0.0, high=0.35, step=0.1)) == [0.0, 0.1, 0.2, 0.3]
    assert grid_values(IntRange(type="int", low=1, high=6, step=2)) == [1, 3, 5]
    assert grid_values(Choice(type="categorical", choices=("a", None))) == ["a", None]
    for endless in (
        FloatRange(type="float", low=0.1, high=0.7),
        IntRange(type="int", low=1, high=8, log=True),
    ):
        with pytest.raises(ValueError, match="a grid needs"):
            grid_values(endless)


@pytest.mark.parametrize(
    "endless",
    [
        FloatRange(type="float", low=0.0, high=1.0, step=1e-9),
        IntRange(type="int", low=0, high=10**12),
    ],
)
def test_a_grid_that_nobody_can_try_is_refused_before_it_is_listed(endless):
    with pytest.raises(ValueError, match=r"1,000,000,00.*values, a grid has at most 100,000 points"):
        grid_values(endless)


def test_axes_that_make_a_grid_of_too_many_points_are_refused_together():
    thousand = IntRange(type="int", low=1, high=1000)
    assert count_grid({"a": thousand, "b": Choice(type="categorical", choices=tuple(range(100)))}) == 100_000
    with pytest.raises(OptdetError, match="the grid has 1,000,000 points, at most 100,000 can be tried"):
        count_grid({"a": thousand, "b": thousand})


def test_grid_values_can_be_suggested():
    """Optuna refuses what is off its own grid by more than dust."""
    space = {"x": FloatRange(type="float", low=0.1, high=0.7, step=0.2)}
    study = optuna.create_study(sampler=GridSampler(space, 0))
    given = []
    for _ in range(4):
        trial = study.ask()
        given.append(suggest(trial, space)["x"])
        study.tell(trial, 0.0)
    assert sorted(given) == [0.1, 0.3, 0.5, 0.7]
