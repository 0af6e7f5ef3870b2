"""A study that begins with what another one found: the parameters of its best trials, queued.

They are chosen once, when the study is made, and become part of its definition, behind the queue of the file.
So what is run changes neither with the other study nor with its deletion, and making the study again compares
the file's own part alone. What was chosen, and what was not, is kept with the study.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial

from optdet.config_io import apply_params
from optdet.errors import OptdetError
from optdet.search_space import Choice, is_within
from optdet.study_config import StudyConfig
from optdet.tuning import attributes as attr
from optdet.tuning.fold_members import varies_fold
from optdet.tuning.queue import exact_values
from optdet.tuning.ranking import best_trials
from optdet.tuning.study import Database, OpenStudy, find_study, load_study


@dataclass(frozen=True, slots=True)
class WarmStart:
    """The wish for ``top`` trials of a study; answered when the new study is made."""

    source: Database
    study: str
    top: int

    def is_that_of(self, record: Mapping[str, Any] | None) -> bool:
        """Whether a study that has this record was made by the same wish."""
        return record is not None and (record["study"], record["top"]) == (self.study, self.top)

    def choose(self, config: StudyConfig, database: Database) -> dict[str, Any]:
        """The best complete trials whose parameters the new study can queue, best first, each set once.

        A record for JSON: ``study``, ``uuid``, ``top``; ``queued``, of ``trial``, ``value``, ``params``,
        ``outside`` (names beyond their ranges), ``left_out`` (values that are none of their choices) and
        ``sampled``; ``passed``, of ``trial``, ``value`` and ``reason``.

        OptdetError for an unknown study, one over folds, without a complete trial or a name in common.
        """
        if self.study == config.name and self.source.url == database.url:
            raise OptdetError(
                f"{self.study!r} cannot start from itself",
                where="--warm-start",
                fix=f"give the new study a name of its own: --name {self.study}-2",
            )
        study = load_study(self.source, find_study(self.source, self.study))
        _require_comparable(study)
        ranked = best_trials(study, len(study.study.get_trials(deepcopy=False)))
        _require_usable(study.name, study.config, ranked, config)
        taken = [
            (f"queue[{number}] of the file", _exact(params, config))
            for number, params in enumerate(config.queue)
        ]
        queued: list[dict[str, Any]] = []
        passed: list[dict[str, Any]] = []
        for trial in ranked:
            if len(queued) == self.top:
                break
            entry = {"trial": trial.number, "value": trial.value}
            try:
                found = _in_terms_of(config, trial.params)
            except OptdetError as error:
                passed.append(entry | {"reason": error.what})
                continue
            same = next((name for name, params in taken if params == found["params"]), None)
            if same is not None or not found["params"]:
                reason = f"the same as {same}" if same else "none of its values is a choice here"
                passed.append(entry | {"reason": reason})
                continue
            taken.append((f"trial {trial.number}", found["params"]))
            queued.append(entry | found)
        return {"study": study.name, "uuid": study.uuid, "top": self.top, "queued": queued, "passed": passed}


def _require_comparable(study: OpenStudy) -> None:
    if varies_fold(study):
        raise OptdetError(
            f"the folds of {study.name} hold out different images, so none of its trials is the best",
            where="--warm-start",
            fix=f"choose in `optdet study show {study.name}`, and queue that: optdet study enqueue",
        )


def _exact(params: Mapping[str, Any], config: StudyConfig) -> dict[str, Any]:
    """Values as the settings have them: a whole number for a float becomes one."""
    return exact_values(config, apply_params(config.config, params, "queued trial"), params, "queued trial")


def _require_usable(name: str, source: StudyConfig, ranked: Sequence[FrozenTrial], new: StudyConfig) -> None:
    if not ranked:
        raise OptdetError(
            f"{name} has no complete trial", where="--warm-start", fix=f"run it: optdet study run {name}"
        )
    if not set(source.space) & set(new.space):
        there, here = (", ".join(space) or "nothing" for space in (source.space, new.space))
        raise OptdetError(
            f"{name} varies {there}, {new.name} {here}: there is no name in common",
            where="--warm-start",
            fix="name a study that varies some of the same settings",
        )


def _in_terms_of(config: StudyConfig, params: Mapping[str, Any]) -> dict[str, Any]:
    """What a study can queue of another's parameters; OptdetError for values that its config refuses."""
    known = {name: params[name] for name in config.space if name in params}
    left_out = {name: value for name, value in known.items() if not _is_choice(config, name, value)}
    values = _exact({name: value for name, value in known.items() if name not in left_out}, config)
    return {
        "params": values,
        "outside": [name for name, value in values.items() if not is_within(config.space, {name: value})],
        "left_out": left_out,
        "sampled": [name for name in config.space if name not in values],
    }


def _is_choice(config: StudyConfig, name: str, value: Any) -> bool:
    dimension = config.space[name]
    return not isinstance(dimension, Choice) or value in dimension.choices


def warm_start_of(study: OpenStudy) -> dict[str, Any] | None:
    """What was queued of another study when this one was made, as ``WarmStart.choose`` records it."""
    found: dict[str, Any] | None = study.study.user_attrs.get(attr.WARM_START)
    return found
