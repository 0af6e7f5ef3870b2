"""Samplers whose draws depend on the study's seed, the trial's number and the trials so far: nothing else.

A seeded Optuna sampler starts its stream anew in every process, so a restarted worker would repeat its first
suggestions. Here every trial has a stream of its own, and every independent draw one by its name as well: a
worker that is killed between two suggestions and restarted goes on as if nothing had happened.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optdet.errors import OptdetError
from optdet.search_space import Dimension
from optdet.study_config import SamplerConfig, StudyConfig


def build_sampler(study: StudyConfig) -> BaseSampler:
    if study.sampler.name == "grid":
        return GridSampler(study.space, study.seed)
    return ReproducibleSampler(lambda seed: _optuna_sampler(study.sampler, seed), study.seed)


def derived_seed(*parts: int | str) -> int:
    """A 32-bit seed from numbers and names."""
    numbers = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in parts]
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def _optuna_sampler(config: SamplerConfig, seed: int) -> BaseSampler:
    if config.name == "random":
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed, n_startup_trials=config.n_startup_trials, multivariate=config.multivariate)


class ReproducibleSampler(BaseSampler):
    """A fresh inner sampler for each trial, seeded by (study seed, trial number)."""

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make = make
        self._seed = seed
        self._inner = make(seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._inner = self._make(derived_seed(self._seed, trial.number))
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        own = self._make(derived_seed(self._seed, trial.number, param_name))
        return own.sample_independent(study, trial, param_name, param_distribution)


MAX_GRID_POINTS: Final = 100_000
"""Far more than anyone trains; each new trial looks through all of them."""


class GridSampler(BaseSampler):
    """Every point of a grid once, in an order shuffled by the seed; what is left over is drawn again.

    A point counts as taken by complete, pruned, running and waiting trials, so a failed one is given again.
    Whoever asks for a trial draws all its parameters before the next one is asked for.
    """

    def __init__(self, space: Mapping[str, Dimension], seed: int) -> None:
        self._names = tuple(space)
        points = list(itertools.product(*(grid_values(dimension) for dimension in space.values())))
        order = np.random.default_rng(seed).permutation(len(points))
        self._points: list[tuple[Any, ...]] = [points[index] for index in order]

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._point(study, trial)[self._names.index(param_name)]

    def _point(self, study: Study, trial: FrozenTrial) -> tuple[Any, ...]:
        # From the storage: with hyperband Optuna hands over a study that shows one bracket's trials only.
        # Later trials too: where this one lost its worker before it had its point, another may have it.
        trials = study._storage.get_all_trials(study._study_id, deepcopy=False)
        taken = {
            tuple(_params(other).get(name) for name in self._names)
            for other in trials
            if other.number != trial.number and other.state != TrialState.FAIL
        }
        given = _params(trial)  # of one that is queued with some, or was cut off between two
        agreeing = [point for point in self._points if self._agrees(point, given)] or self._points
        free = (point for point in agreeing if point not in taken)
        return next(free, agreeing[trial.number % len(agreeing)])

    def _agrees(self, point: tuple[Any, ...], given: Mapping[str, Any]) -> bool:
        return all(given.get(name, value) == value for name, value in zip(self._names, point, strict=True))


def _params(trial: FrozenTrial) -> Mapping[str, Any]:
    """Those of a queued trial that nobody has begun, or only just, stand among its system attributes."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def count_grid(space: Mapping[str, Dimension]) -> int:
    """Points of a grid; OptdetError where a range has no step, or there are too many."""
    n_points = 1
    for name, dimension in space.items():
        try:
            n_points *= len(grid_values(dimension))
        except ValueError as error:
            raise OptdetError(str(error), where=f"space: {name}") from None
    if n_points > MAX_GRID_POINTS:
        raise OptdetError(
            f"the grid has {n_points:,} points, at most {MAX_GRID_POINTS:,} can be tried",
            where="space",
            fix="give wider steps, or take the sampler tpe",
        )
    return n_points


def grid_values(dimension: Dimension) -> list[Any]:
    """The values of one name on a grid; ValueError where a range has no step, or has too many."""
    if dimension.type == "categorical":
        return list(dimension.choices)
    if dimension.log or dimension.step is None:
        raise ValueError("a grid needs `choices`, or a range with a `step` and without `log`")
    n_steps = int((dimension.high - dimension.low) / dimension.step + 1e-9)
    if n_steps >= MAX_GRID_POINTS:
        raise ValueError(f"{n_steps + 1:,} values, a grid has at most {MAX_GRID_POINTS:,} points")
    if dimension.type == "int":
        return [dimension.low + i * dimension.step for i in range(n_steps + 1)]
    return [round(dimension.low + i * dimension.step, 12) for i in range(n_steps + 1)]
