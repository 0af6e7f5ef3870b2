"""Threshold tuning by an Optuna study: a queue of known points, then TPE or random ones.

The study may lie in memory or in a database: each trial is drawn from the seed, its number and the trials
before it, and keeps all that the result is made of. So a search that goes on in another process ends as one
that was never cut off.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from optdet.config import PostprocessConfig
from optdet.evaluation.scorer import N_PARTS, ImageScorer, hmeans, macro_scores, part_of
from optdet.evaluation.selection import RULES, Select, choose_point
from optdet.metrics.scores import PRH
from optdet.search_space import Dimension, at_ends
from optdet.structures import FloatArray, Metric, Thresholds
from optdet.tuning import attributes as attr
from optdet.tuning.sampler import ReproducibleSampler
from optdet.tuning.space import distributions, is_inside, space_of, suggest
from optdet.tuning.task import OnTrial, TuningTask
from optdet.tuning.tried import Choice, Tried, Tuned


def search_thresholds(task: TuningTask, on_trial: OnTrial | None) -> Tuned:
    """In memory: what a kill leaves is nothing, and the seconds run again."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # a study in memory is no news
    search = ThresholdSearch.of(task)
    study = optuna.create_study(direction="maximize", sampler=search.sampler())
    search.enqueue(study)
    for number in range(search.n_trials):
        trial = study.ask()
        study.tell(trial, search.score(trial))
        if on_trial is not None:
            on_trial(number + 1, search.n_trials)
    return search.result(study.get_trials(deepcopy=False))


@dataclass(frozen=True, slots=True)
class ThresholdSearch:
    """The trials of a search: trial ``n`` is ``queue[n]``, and drawn by the sampler where that ends.

    The queue begins with the thresholds in use. ``names`` are those of the queued points that have one. A
    queued point outside the space is no trial of the sampler's: its values are attributes, not parameters.
    """

    task: TuningTask
    queue: tuple[Thresholds, ...]
    names: Mapping[Thresholds, str]

    @classmethod
    def of(cls, task: TuningTask) -> ThresholdSearch:
        current, candidates = task.current, task.candidates
        others = () if task.search.method == "none" else fixed_points(current, space_of(task.search))
        queue = dict.fromkeys((current, *candidates.values(), *others))
        names = {thresholds: name for name, thresholds in candidates.items()}
        return cls(task, tuple(queue), {current: "current"} | names)

    @property
    def n_trials(self) -> int:
        search = self.task.search
        return len(self.queue) + (0 if search.method == "none" else search.trials)

    @property
    def space(self) -> dict[str, Dimension]:
        return space_of(self.task.search)

    def sampler(self) -> BaseSampler:
        return SearchSampler(self.space, self.task.search.method, self.task.seed)

    def enqueue(self, study: optuna.Study) -> None:
        """Queue what is not there yet: safe to repeat after a kill, as long as no trial was asked for."""
        for point in self.queue[len(study.get_trials(deepcopy=False)) :]:
            shown = {"name": self.names[point]} if point in self.names else {}
            if self._is_inside(point):
                study.enqueue_trial(_values(point, self.space), user_attrs=shown)
            else:
                study.enqueue_trial({}, user_attrs=shown | point.as_dict())

    def score(self, trial: optuna.Trial) -> float:
        """The value to tell; what else the result needs is kept as the trial's attributes."""
        if trial.number >= len(self.queue) or self._is_inside(self.queue[trial.number]):
            suggest(trial, self.space)
        thresholds = self._thresholds(trial)
        scores = macro_scores(self.task.scorers, thresholds, self.task.metric)
        trial.set_user_attr("precision", scores.precision)
        trial.set_user_attr("recall", scores.recall)
        trial.set_user_attr(attr.PART_HMEANS, _part_hmeans(self.task.scorers, thresholds, self.task.metric))
        return scores.hmean

    def result(self, trials: Sequence[FrozenTrial]) -> Tuned:
        """The choice among the finished trials inside the space; those in use where there are none, which
        are shown in any case. Other points outside are not."""
        finished: dict[Thresholds, FrozenTrial] = {}
        for trial in trials:
            if trial.state == TrialState.COMPLETE:
                finished.setdefault(self._thresholds(trial), trial)
        in_use = {point: trial for point, trial in finished.items() if trial.number == 0}
        inside = {
            point: trial
            for point, trial in finished.items()
            if self._is_inside(point) or (point in in_use and self.task.search.space.holds(point))
        }
        tried = {point: Tried(point, _scores(trial)) for point, trial in (in_use | inside).items()}
        chosen_from = inside or in_use
        points = list(chosen_from)
        values = np.array([tried[point].scores.hmean for point in points])
        part_hmeans = np.array([trial.user_attrs[attr.PART_HMEANS] for trial in chosen_from.values()])
        part_sizes = np.bincount([part_of(scorer.name) for scorer in self.task.scorers], minlength=N_PARTS)
        choices: dict[Select, Choice] = {}
        for select in RULES:
            point = points[choose_point(points, values, select)]
            worth = _crossfit(points, part_hmeans, part_sizes, select)
            choices[select] = Choice(point, worth, at_ends(self.space, point.as_dict()))
        return Tuned(tuple(tried.values()), choices, self.task.search.select)

    def _thresholds(self, trial: optuna.Trial | FrozenTrial) -> Thresholds:
        if trial.number < len(self.queue):
            return self.queue[trial.number]
        return from_params(trial.params, self.queue[0])

    def _is_inside(self, point: Thresholds) -> bool:
        same_side = point.min_side == self.queue[0].min_side  # which is not searched
        return same_side and is_inside(self.space, _values(point, self.space))


class SearchSampler(ReproducibleSampler):
    """TPE or random points of a space that is known: Optuna's own guess, what all trials have in common, is
    nothing where a queued point lies outside."""

    def __init__(self, space: Mapping[str, Dimension], method: str, seed: int) -> None:
        super().__init__(_random if method == "random" else _tpe, seed)
        self._space = {name: known for name, known in distributions(space).items() if not known.single()}

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._space


def _random(seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


def _tpe(seed: int) -> BaseSampler:
    return TPESampler(seed=seed, multivariate=True)


def _scores(trial: FrozenTrial) -> PRH:
    assert trial.value is not None  # it is complete
    return PRH(trial.user_attrs["precision"], trial.user_attrs["recall"], trial.value)


def _part_hmeans(scorers: Sequence[ImageScorer], thresholds: Thresholds, metric: Metric) -> list[float]:
    """(N_PARTS): sums of H-means over the images of each cross-fit part."""
    values: list[list[float]] = [[] for _ in range(N_PARTS)]
    for scorer, hmean in zip(scorers, hmeans(scorers, thresholds, metric).tolist(), strict=True):
        values[part_of(scorer.name)].append(hmean)
    return [math.fsum(part) for part in values]


def _crossfit(
    points: Sequence[Thresholds], part_hmeans: FloatArray, part_sizes: NDArray[np.int64], select: Select
) -> float | None:
    """The design's ``hmean_crossfit``: of all that was tried, the choice on 4/5 of the images scores the
    rest.

    ``part_hmeans`` (n, N_PARTS) are sums. The candidates are those of the whole search, the choice among them
    is made without the scored images.
    """
    parts = np.flatnonzero(part_sizes)
    if len(parts) < 2:
        return None
    total = 0.0
    for part in parts:
        others = parts[parts != part]
        means = part_hmeans[:, others].sum(axis=1) / part_sizes[others].sum()
        total += float(part_hmeans[choose_point(points, means, select), part])
    return total / int(part_sizes.sum())


def from_params(params: dict[str, Any], current: Thresholds) -> Thresholds:
    """Thresholds from Optuna's values, rounded off the floating-point dust of a step."""
    return Thresholds.from_dict(
        {
            **current.as_dict(),
            **params,
            "thresh": round(float(params["thresh"]), 6),
            "box_thresh": round(float(params["box_thresh"]), 6),
            "unclip_ratio": round(float(params["unclip_ratio"]), 6),
        }
    )


def fixed_points(current: Thresholds, space: dict[str, Dimension]) -> list[Thresholds]:
    """What is always tried: current, and of the defaults and the usual points those inside the space.

    Only what is in use may lie outside: a point that the space rules out must not be chosen.
    """
    usual = PostprocessConfig().thresholds()
    points = [current, replace(usual, min_side=current.min_side)]
    for use_polygon in (False, True):
        if use_polygon == current.use_polygon or is_inside(space, {"use_polygon": use_polygon}):
            ratios = (1.5, 2.0) if use_polygon == current.use_polygon else (2.0,)
            points += [
                replace(
                    current,
                    thresh=thresh / 100,
                    box_thresh=box_thresh / 100,
                    unclip_ratio=ratio,
                    use_polygon=use_polygon,
                )
                for thresh in (20, 30, 40, 50)
                for box_thresh in (30, 40, 50, 60)
                for ratio in ratios
            ]
    inside = [point for point in points[1:] if is_inside(space, _values(point, space))]
    return list(dict.fromkeys([current, *inside]))


def _values(point: Thresholds, space: dict[str, Dimension]) -> dict[str, Any]:
    return {name: getattr(point, name) for name in space}
