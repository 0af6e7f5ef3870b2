"""Fixed trials that run before sampled ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from optuna.trial import TrialState

from optdet.config import Config
from optdet.config_io import apply_params, parse_override
from optdet.errors import OptdetError
from optdet.search_space import Choice
from optdet.study_config import StudyConfig
from optdet.tuning import attributes as attr
from optdet.tuning.results import find_trial
from optdet.tuning.study import OpenStudy


def enqueue_trial(study: OpenStudy, params: Sequence[str]) -> dict[str, Any]:
    """Queue ``name=value`` texts as one trial; a value may lie outside its range, not outside its choices."""
    values: dict[str, Any] = {}
    for text in params:
        name, value = parse_override(text)
        if name not in study.config.space:
            known = ", ".join(study.config.space) or "nothing"
            raise OptdetError(f"{name!r} is not in the space of {study.name}", fix=f"it varies {known}")
        values[name] = value
    config = apply_params(study.config.config, values, "queued trial")
    exact = exact_values(study.config, config, values, "queued trial")
    study.study.enqueue_trial(exact)
    return exact


def exact_values(study: StudyConfig, config: Config, names: Iterable[str], where: str) -> dict[str, Any]:
    """Values of the space as the config has them; OptdetError for one that is none of a name's choices."""
    tree = config.model_dump(mode="json")
    exact = {name: _dotted(tree, name) for name in names}
    for name, value in exact.items():
        dimension = study.space[name]
        if isinstance(dimension, Choice) and value not in dimension.choices:
            choices = ", ".join(repr(choice) for choice in dimension.choices)
            raise OptdetError(f"{name} has no choice {value!r}", where=where, fix=f"choose among {choices}")
    return exact


def withdraw_trial(study: OpenStudy, number: int) -> None:
    """Take a queued trial back: it counts as failed. One that a worker takes at the same moment is left by
    it. OptdetError for a trial that is not queued.
    """
    trial = find_trial(study, number)
    if trial.state != TrialState.WAITING:
        raise OptdetError(
            f"trial {number} is {trial.state.name.lower()}",
            where=f"study {study.name}",
            fix="only trials that are queued can be taken back",
        )
    study.storage.set_trial_user_attr(trial._trial_id, attr.FAILURE, "taken out of the queue")
    study.storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)


def trials_needed(study: OpenStudy) -> int:
    """Finished trials that the study must have for all that are queued to be among them."""
    states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING, TrialState.WAITING)
    return len(study.study.get_trials(deepcopy=False, states=states))


def _dotted(tree: dict[str, Any], name: str) -> Any:
    for part in name.split("."):
        tree = tree[part]
    return tree
