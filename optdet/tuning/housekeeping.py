"""What stays after a trial: weights of every trial, maps and inner studies of the best few."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from optdet.atomic import remove_unfinished
from optdet.config import Dimension
from optdet.inference.map_cache import MapCache
from optdet.metrics.scores import PRH
from optdet.store.engine import named_lock
from optdet.store.registry import load_inner_trials
from optdet.structures import Thresholds
from optdet.training.checkpoints import CheckpointFolder
from optdet.tuning import attributes as attr
from optdet.tuning.space import distributions, is_inside, space_of
from optdet.tuning.study import OpenStudy


def sweep_finished(study: OpenStudy) -> None:
    """Remove what a worker that was killed after telling a trial left of it."""
    for trial in study.study.get_trials(deepcopy=False):
        if trial.state.is_finished():
            run_dir = study.places.run_dir(study.name, trial.number)
            remove_unfinished(run_dir)
            CheckpointFolder(run_dir / "checkpoints").keep_final()


def best_trials(study: OpenStudy, n_trials: int) -> list[FrozenTrial]:
    """Complete trials, best value first, the earlier of equals first."""
    complete = study.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted(complete, key=lambda trial: (-(trial.value or 0.0), trial.number))[:n_trials]


def keep_best(study: OpenStudy) -> None:
    """Drop cached maps of all but the best trials, and store the best ones' threshold tuning as studies."""
    keep = study.config.keep
    complete = study.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    kept = {trial.user_attrs.get(attr.MAP_KEY) for trial in best_trials(study, keep.maps)}
    for trial in complete:
        key = trial.user_attrs.get(attr.MAP_KEY)
        if key is not None and key not in kept:
            MapCache.of(study.places.cache_dir, key).remove()
    best = best_trials(study, keep.inner_studies)
    for trial in best:
        save_inner_study(study, trial)
    _drop_inner_studies(study, kept={trial.number for trial in best})


def _drop_inner_studies(study: OpenStudy, kept: set[int]) -> None:
    """Remove the inner studies of trials that are no longer among the best; their results stay in the
    registry."""
    there = set(optuna.get_all_study_names(study.storage))
    for trial in study.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        name = inner_study_name(study.name, trial.number)
        if trial.number not in kept and name in there:
            with named_lock(study.storage, f"optdet:inner:{name}"), contextlib.suppress(KeyError):
                optuna.delete_study(study_name=name, storage=study.storage)


def inner_study_name(study: str, number: int) -> str:
    return f"{study}.t{number:04d}.postprocess"


def save_inner_study(study: OpenStudy, trial: FrozenTrial) -> str:
    """A trial's threshold tuning as an Optuna study of its own, to be browsed; its name. Safe to repeat."""
    name = inner_study_name(study.name, trial.number)
    space = space_of(study.config.base_config().postprocess.tune)
    rows = load_inner_trials(study.storage, study.uuid, trial.number)
    tried = [(row.thresholds, row.scores) for row in rows]
    fill_inner_study(study.storage, name, f"{study.name}:{trial.number}", space, tried)
    return name


def fill_inner_study(
    storage: RDBStorage,
    name: str,
    of: str,
    space: dict[str, Dimension],
    tried: Sequence[tuple[Thresholds, PRH]],
) -> None:
    """Configurations and their scores as a study; one that was cut off is completed, a whole one left
    alone. Workers that finish trials at once would complete it side by side, so one does at a time."""
    with named_lock(storage, f"optdet:inner:{name}"):
        inner = optuna.create_study(
            storage=storage, study_name=name, direction="maximize", load_if_exists=True
        )
        if inner.user_attrs.get(attr.READY):
            return
        inner.set_user_attr(attr.INNER_OF, of)
        known = distributions(space)
        for thresholds, scores in tried[len(inner.get_trials(deepcopy=False)) :]:
            params = {key: getattr(thresholds, key) for key in space}
            inside = is_inside(space, params)
            inner.add_trial(
                create_trial(
                    params=params if inside else {},
                    distributions=known if inside else {},
                    value=scores.hmean,
                    user_attrs={
                        "precision": scores.precision,
                        "recall": scores.recall,
                        **({} if inside else params),
                    },
                )
            )
        inner.set_user_attr(attr.READY, True)
