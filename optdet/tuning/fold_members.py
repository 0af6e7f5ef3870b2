"""A fold study: one whose trials differ in the fold that they hold out, and in nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.trial import TrialState

from optdet.errors import OptdetError
from optdet.tuning import attributes as attr
from optdet.tuning.study import Database, OpenStudy, find_study, n_wanted, outer_studies

FOLD = "data.fold"


def is_fold_study(study: OpenStudy) -> bool:
    return is_of_folds(study.study.user_attrs[attr.DEFINITION])


def is_of_folds(definition: Mapping[str, Any] | None) -> bool:
    """Of a study's definition as the database has it."""
    if definition is None or set(definition["space"]) != {FOLD}:
        return False
    return definition["config"]["data"].get("folds") is not None


def fold_numbers(study: OpenStudy) -> list[int]:
    """The folds that trials hold out."""
    return [int(fold) for fold in study.study.user_attrs[attr.DEFINITION]["space"][FOLD]["choices"]]


def fold_members(study: OpenStudy) -> dict[int, int]:
    """The number of each fold's complete trial, by fold, the newest of several; folds without one are not
    in it."""
    found = {}
    for trial in study.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        found[int(trial.params[FOLD])] = trial.number
    return dict(sorted(found.items()))


def require_fold_study(study: OpenStudy) -> None:
    if not is_fold_study(study):
        raise OptdetError(
            f"{study.name} is no study of folds",
            where=f"study {study.name}",
            fix=f"make one: optdet study create --folds folds/folds.json --from {study.name}",
        )


def find_fold_study(database: Database, name: str | None) -> str:
    """The name of a study of folds: the given one, else the newest unfinished, else the newest."""
    if name is not None:
        return find_study(database, name)
    rows = [row for row in outer_studies(database) if is_of_folds(row.attributes[attr.DEFINITION])]
    if not rows:
        raise OptdetError(
            "no study of folds there yet",
            where=database.shown,
            fix="make one: optdet study create --folds folds/folds.json --from STUDY",
        )
    unfinished = [row for row in rows if row.n_finished < n_wanted(row)]
    return (unfinished or rows)[-1].name
