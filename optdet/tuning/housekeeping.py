"""What stays after a trial: weights of every trial, maps and inner studies of the best few."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, create_trial

from optdet.atomic import remove_unfinished
from optdet.inference.map_cache import MapCache
from optdet.metrics.scores import PRH
from optdet.search_space import Dimension
from optdet.store.finished_trials import add_finished_trials
from optdet.store.name_lock import named_lock
from optdet.store.registry import load_inner_trials
from optdet.store.study_index import list_studies, study_names
from optdet.structures import Thresholds
from optdet.training.checkpoints import CheckpointFolder
from optdet.tuning import attributes as attr
from optdet.tuning.fold_members import varies_fold
from optdet.tuning.graphs import show_best, show_tried
from optdet.tuning.links import write_links
from optdet.tuning.named_files import own_references
from optdet.tuning.notes import write_search_note
from optdet.tuning.ranking import ranked_trials
from optdet.tuning.space import distributions, is_inside, space_of
from optdet.tuning.study import OpenStudy
from optdet.tuning.tried import Tried


def sweep_finished(study: OpenStudy) -> None:
    """Remove what a worker that was killed after telling a trial left of it."""
    for trial in study.study.get_trials(deepcopy=False):
        if trial.state.is_finished():
            run_dir = study.places.run_dir(study.name, trial.number)
            remove_unfinished(run_dir)
            CheckpointFolder(run_dir / "checkpoints").keep_final()


def keep_best(study: OpenStudy) -> None:
    """Drop cached maps of all but the best trials, store the best ones' threshold tuning as studies, and show
    the best one's landscape and links to these studies in the dashboard."""
    keep = study.config.keep
    ranked = ranked_trials(study)
    kept = {trial.user_attrs.get(attr.MAP_KEY) for trial in ranked[: keep.maps]}
    names = {study.name, study.study.study_name}
    owners = own_references(study.storage).maps if len(ranked) > keep.maps else {}
    for trial in ranked:
        key = trial.user_attrs.get(attr.MAP_KEY)
        # A copy of the study has the same maps, and maybe another best trial.
        if key is not None and key not in kept and owners.get(key, frozenset()) <= names:
            MapCache.of(study.places.cache_dir, key).remove()
    rows = list_studies(study.storage, attributes=(attr.READY, attr.INNER_OF_UUID))
    ready = {
        row.name
        for row in rows
        if attr.READY in row.attributes and row.attributes.get(attr.INNER_OF_UUID, study.uuid) == study.uuid
    }
    for trial in ranked[: keep.inner_studies]:
        if inner_study_name(study.name, trial.number) not in ready:
            save_inner_study(study, trial)
    _drop_inner_studies(study, ranked[keep.inner_studies :])
    if ranked and not varies_fold(study):  # of folds none is the best
        show_best(study, ranked[0])
    write_links(study.storage)


def _drop_inner_studies(study: OpenStudy, beaten: Sequence[FrozenTrial]) -> None:
    """Remove the inner studies of trials that are no longer among the best; their results stay in the
    registry."""
    there = study_names(study.storage)
    for trial in beaten:
        name = inner_study_name(study.name, trial.number)
        if name in there:
            with named_lock(study.storage, f"optdet:inner:{name}"), contextlib.suppress(KeyError):
                optuna.delete_study(study_name=name, storage=study.storage)


def inner_study_name(study: str, number: int) -> str:
    return f"{study}.t{number:04d}.postprocess"


def save_inner_study(study: OpenStudy, trial: FrozenTrial) -> str:
    """A trial's threshold tuning as an Optuna study of its own, to be browsed; its name. Safe to repeat."""
    name = inner_study_name(study.name, trial.number)
    tune = study.config.base_config().postprocess.tune
    tried = [
        Tried(row.thresholds, row.scores)
        for row in load_inner_trials(study.storage, study.uuid, trial.number)
    ]

    def describe(inner: optuna.Study) -> None:
        in_use = trial.user_attrs.get(attr.THRESHOLDS)
        show_tried(study.storage, inner._study_id, tried, f"{study.name}:{trial.number}", in_use=in_use)
        write_search_note(study.storage, inner, tune)

    fill_inner_study(
        study.storage,
        name,
        f"{study.name}:{trial.number}",
        space_of(tune),
        tried,
        of_uuid=study.uuid,
        describe=describe,
    )
    return name


def fill_inner_study(
    storage: RDBStorage,
    name: str,
    of: str,
    space: dict[str, Dimension],
    tried: Sequence[Tried],
    *,
    of_uuid: str | None = None,
    describe: Callable[[optuna.Study], None] = lambda inner: None,
) -> None:
    """Configurations and their scores as a study; one that was cut off is completed, a whole one left
    alone. Workers that finish trials at once would complete it side by side, so one does at a time.

    ``of_uuid`` is that of the study whose trial was tuned: what another study of its name left, which was
    deleted in the dashboard, is replaced. ``describe`` adds what the dashboard shows beside the trials,
    before the study counts as whole.
    """
    with named_lock(storage, f"optdet:inner:{name}"):
        if of_uuid is not None:
            _drop_of_another(storage, name, of_uuid)
        inner = optuna.create_study(
            storage=storage, study_name=name, direction="maximize", load_if_exists=True
        )
        if inner.user_attrs.get(attr.READY):
            return
        inner.set_user_attr(attr.INNER_OF, of)
        if of_uuid is not None:
            inner.set_user_attr(attr.INNER_OF_UUID, of_uuid)
        left = tried[len(inner.get_trials(deepcopy=False)) :]
        add_finished_trials(
            storage, inner._study_id, [_as_trial(space, entry.thresholds, entry.scores) for entry in left]
        )
        describe(inner)
        inner.set_user_attr(attr.READY, True)


def _drop_of_another(storage: RDBStorage, name: str, of_uuid: str) -> None:
    """One by an earlier optdet, which does not say whose it is, is taken for the study's own."""
    with contextlib.suppress(KeyError):
        there = optuna.load_study(study_name=name, storage=storage)
        if there.user_attrs.get(attr.INNER_OF_UUID, of_uuid) != of_uuid:
            optuna.delete_study(study_name=name, storage=storage)


def _as_trial(space: dict[str, Dimension], thresholds: Thresholds, scores: PRH) -> FrozenTrial:
    """Thresholds outside the space, such as the config's own, are attributes: Optuna's views refuse them as
    parameters."""
    params = {key: getattr(thresholds, key) for key in space}
    inside = is_inside(space, params)
    return create_trial(
        params=params if inside else {},
        distributions=distributions(space) if inside else {},
        value=scores.hmean,
        user_attrs={
            "precision": scores.precision,
            "recall": scores.recall,
            **({} if inside else params),
        },
    )
