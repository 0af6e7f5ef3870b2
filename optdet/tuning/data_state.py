"""Images and labels that change between the runs of a study: noticed before anything is trained on them.

Values of trials that were scored on different images or labels cannot be compared. So the state of the data
is kept in the study, by its sources (one study may have several, as folds), the newest last; each trial has
the fingerprint of its own. A worker whose data are in another state than the newest stops, unless it was told
to go on: then its state is the newest, and workers that still have the former one stop at their next trial.

A trial in work belongs to one state too, for its reports decide which epoch is its best: on data that changed
it begins again, with its number and parameters.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from optdet.config import DataConfig
from optdet.data.fingerprints import DataChanged, DataState, what_changed
from optdet.phrases import numbers
from optdet.store.name_lock import named_lock
from optdet.store.trial_restart import blank_trial
from optdet.tuning import attributes as attr
from optdet.tuning.removal import remove
from optdet.tuning.study import OpenStudy

_WITH_VALUES = (TrialState.COMPLETE, TrialState.PRUNED)


def require_same_data(study: OpenStudy, data: DataConfig, state: DataState, *, accept: bool) -> str | None:
    """Take note of the data that a worker has opened; DataChanged where trials had others and not ``accept``.

    What a person should hear of data that were accepted; None where nothing has changed.
    """
    key = _key(data.model_dump(mode="json"))
    if _newest_fingerprint(study.study.user_attrs, key) == state.fingerprint:
        return None
    with named_lock(study.storage, f"optdet:data:{study.uuid}"):
        known = _states(study.study.user_attrs, key)
        trials = [trial for trial in _begun(study) if _key_of(trial) == key]
        if not known and trials:  # an earlier optdet's: of these the fingerprint alone is known
            known = [DataState(_fingerprint(trial)) for trial in trials]
        is_new = bool(known) and known[-1].fingerprint != state.fingerprint
        others = [trial.number for trial in trials if _fingerprint(trial) != state.fingerprint]
        if is_new and others and not accept:
            raise _changed(study, what_changed(known[-1], state), others)
        kept = {each.fingerprint: each for each in known if each.fingerprint != state.fingerprint}
        states = [each.as_json() for each in (*kept.values(), state)]
        study.study.set_user_attr(attr.DATA_STATES + key, states)
    if not (is_new and others):
        return None
    return (
        f"going on with changed data, {what_changed(known[-1], state)}: "
        f"{numbers('trial', others)} had others, their values cannot be compared with those to come"
    )


def require_newest_data(study: OpenStudy, data: DataConfig, state: DataState) -> None:
    """DataChanged where another worker has gone on with other data since this one opened its own."""
    newest = _newest_fingerprint(study.study.user_attrs, _key(data.model_dump(mode="json")))
    if newest not in (None, state.fingerprint):
        raise DataChanged(
            "another worker goes on with other images or labels than those that this one has opened",
            where=f"study {study.name}",
            fix="run it again",
        )


def begun_again(study: OpenStudy, trial: optuna.Trial, fingerprint: str) -> optuna.Trial | None:
    """A trial in work that began on other data, without its checkpoints, reports and results; None for one
    that can go on. Its fingerprint stays the old one until all of that is gone: a kill repeats it.
    """
    if trial.user_attrs.get(attr.DATA_FINGERPRINT, fingerprint) == fingerprint:
        return None
    remove(study.places.run_dir(study.name, trial.number))
    blank_trial(study.storage, trial._trial_id, study.uuid, trial.number, user_attrs=attr.RESULTS)
    return optuna.Trial(study.study, trial._trial_id)


def trials_of_other_data(study: OpenStudy) -> list[int]:
    """Complete and pruned trials that had other images or labels than the newest of the same sources."""
    attributes, trials = study.study.user_attrs, _begun(study)
    newest = {_key_of(trial): _fingerprint(trial) for trial in trials}  # of a study by an earlier optdet
    newest |= {key: known for key in newest if (known := _newest_fingerprint(attributes, key)) is not None}
    return [
        trial.number
        for trial in trials
        if trial.state in _WITH_VALUES and _fingerprint(trial) != newest[_key_of(trial)]
    ]


def validated_labels(study: OpenStudy, trial: FrozenTrial) -> str | None:
    """The digest of the labels that a trial was scored on; None where an earlier optdet did not keep it."""
    if not {attr.DATA_FINGERPRINT, attr.CONFIG} <= trial.user_attrs.keys():
        return None
    for state in _states(study.study.user_attrs, _key_of(trial)):
        if state.fingerprint == _fingerprint(trial) and state.val is not None:
            return state.val.labels
    return None


def _begun(study: OpenStudy) -> list[FrozenTrial]:
    """The trials that know their data, by number."""
    trials = study.study.get_trials(deepcopy=False)
    return [
        trial
        for trial in trials
        if attr.DATA_FINGERPRINT in trial.user_attrs and attr.CONFIG in trial.user_attrs
    ]


def _fingerprint(trial: FrozenTrial) -> str:
    return str(trial.user_attrs[attr.DATA_FINGERPRINT])


def _key_of(trial: FrozenTrial) -> str:
    return _key(trial.user_attrs[attr.CONFIG]["data"])


def _key(data: Mapping[str, Any]) -> str:
    """Names the sources of a config's ``data``: what else stands there, as the size, changes no file."""

    def files(source: Mapping[str, Any] | None) -> list[Any] | None:
        return None if source is None else [source["images"], source["labels"], source.get("format")]

    sources = [[files(each) for each in data["train"]], files(data["val"]), data["synthetic"]]
    if data.get("folds") is not None:
        sources += [data["folds"], data["fold"]]
    return hashlib.sha256(json.dumps(sources, sort_keys=True).encode()).hexdigest()[:16]


def _states(attributes: Mapping[str, Any], key: str) -> list[DataState]:
    return [DataState.from_json(stored) for stored in attributes.get(attr.DATA_STATES + key, ())]


def _newest_fingerprint(attributes: Mapping[str, Any], key: str) -> str | None:
    stored = attributes.get(attr.DATA_STATES + key)
    return str(stored[-1]["fingerprint"]) if stored else None


def _changed(study: OpenStudy, what: str, trials: list[int]) -> DataChanged:
    changed = f"{what} changed" if what.startswith("the") else what
    return DataChanged(
        f"{changed} since {numbers('trial', trials)}: values would not be comparable",
        where=f"study {study.name}",
        fix=f"put them back, make a new study, or: optdet study run {study.name} --accept-changed-data",
    )
