"""Studies over ``data.fold``: their trials hold out different images, so that their values cannot be
compared. A fold study is one whose trials differ in nothing else.
"""

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


def has_no_best(definition: Mapping[str, Any] | None) -> bool:
    """Of a study's definition: whether its trials hold out several folds, whatever else they differ in."""
    return definition is not None and FOLD in definition["space"] and len(_folds(definition)) > 1


def varies_fold(study: OpenStudy) -> bool:
    return has_no_best(study.study.user_attrs[attr.DEFINITION])


def fold_numbers(study: OpenStudy) -> list[int]:
    """The folds that trials hold out."""
    return _folds(study.study.user_attrs[attr.DEFINITION])


def _folds(definition: Mapping[str, Any]) -> list[int]:
    varied = definition["space"][FOLD]
    if "choices" in varied:
        return [int(fold) for fold in varied["choices"]]
    return list(range(int(varied["low"]), int(varied["high"]) + 1, int(varied["step"] or 1)))


def fold_members(study: OpenStudy) -> dict[int, int]:
    """The number of each fold's complete trial, by fold, the newest of several; folds without one are not
    in it."""
    found = {}
    for trial in study.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        found[int(trial.params[FOLD])] = trial.number
    return dict(sorted(found.items()))


def require_best(study: OpenStudy) -> None:
    """OptdetError where none of the trials can be called the best."""
    if varies_fold(study):
        all_of_them = f", or all of them, {study.name}:oof" if is_fold_study(study) else ""
        shown = "folds" if is_fold_study(study) else "show"
        raise OptdetError(
            "its folds hold out different images, so none of them is the best",
            where=f"study {study.name}",
            fix=f"name one, as {study.name}:0{all_of_them}; see `optdet study {shown} {study.name}`",
        )


def require_fold_study(study: OpenStudy) -> None:
    if not is_fold_study(study):
        others = [name for name in study.config.space if name != FOLD] if varies_fold(study) else []
        beside = f": it varies {', '.join(others)} too" if others else ""
        raise OptdetError(
            f"{study.name} is no study of folds{beside}",
            where=f"study {study.name}",
            fix="make one: optdet study create --folds folds/folds.json --from "
            f"{study.name}{':TRIAL' if others else ''}",
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
