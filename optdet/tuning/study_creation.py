"""Making a study: its definition, queue and note go into the database, and only then is it ready.

One that was cut off while it was made is completed by making it again.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import optuna
from optuna.exceptions import DuplicatedStudyError

from optdet.config import Config
from optdet.config_io import fingerprint
from optdet.errors import OptdetError
from optdet.store.name_lock import named_lock
from optdet.store.places import valid_study_name
from optdet.store.root_users import note_database
from optdet.store.study_index import list_studies
from optdet.study_config import StudyConfig
from optdet.study_io import one_trial_study
from optdet.tuning import attributes as attr
from optdet.tuning import notes
from optdet.tuning.definition import (
    can_be_completed,
    check_grid,
    difference_to,
    links_of_queue,
    with_queue_of,
)
from optdet.tuning.named_files import other_references, refuse_former_name
from optdet.tuning.study import Database, TrialOrigin, outer_studies, require_whole
from optdet.validation import validate

if TYPE_CHECKING:
    from optdet.tuning.warm_start import WarmStart


def create_study(
    database: Database,
    config: StudyConfig,
    *,
    data_root: Path | None = None,
    warm_start: WarmStart | None = None,
    settings_from: TrialOrigin | None = None,
) -> Literal["created", "exists"]:
    """Make a study, or find the same one there; OptdetError where another has its name.

    What ``warm_start`` queues is chosen when the study is made, and never again. ``settings_from`` is told in
    its note, and decides nothing.
    """
    # Not above: reading a study needs no torch, which this brings.
    from optdet.tuning.preflight import check_backbones

    valid_study_name(config.name)
    if warm_start is None:
        check_grid(config)
    check_backbones(config)
    database.places.root.mkdir(parents=True, exist_ok=True)
    note_database(database.places.root, database.storage)
    with named_lock(database.storage, f"optdet:create:{config.name}"):
        _refuse_files_of_another(database, config.name)
        warmed = None
        if warm_start is not None and config.name not in {row.name for row in outer_studies(database)}:
            warmed = warm_start.choose(config, database)
            check_grid(with_queue_of(config, warmed))
        study = _new_or_there(database, config.name)
        _require_ours(study, config.name, database)
        if study.user_attrs.get(attr.READY):
            _require_same(study, config, database, warm_start)
            return "exists"
        if not can_be_completed(study.user_attrs, config, warmed):
            # Half made, and of another definition, whose queue it may have: nothing was run in it yet.
            optuna.delete_study(storage=database.storage, study_name=config.name)
            study = _new_or_there(database, config.name)
        if settings_from is not None:
            study.set_user_attr(attr.SETTINGS_FROM, asdict(settings_from))
        _complete(study, config, database, data_root or Path(), warmed)
    return "created"


def _refuse_files_of_another(database: Database, name: str) -> None:
    """A new study must not work in the run folders that another one names: they would be one study's."""
    if name in {row.name for row in list_studies(database.storage)}:
        return
    refuse_former_name(database.storage, database.places, name)
    if not database.places.runs_of(name).exists():
        return
    for other, references in other_references(database.places.root, database.storage).items():
        if name in references.trials:
            raise OptdetError(
                f"{other} has a study named {name!r} whose files are here",
                where=str(database.places.runs_of(name)),
                fix=f"give this one another name, as --name {name}-2, or another --root",
            )


def _new_or_there(database: Database, name: str) -> optuna.Study:
    try:
        return optuna.create_study(storage=database.storage, study_name=name, direction="maximize")
    except DuplicatedStudyError:
        return optuna.load_study(storage=database.storage, study_name=name)


def _require_ours(study: optuna.Study, name: str, database: Database) -> None:
    """Refuse a study that another program made, and one of threshold tuning: both only share the database."""
    stored = study.user_attrs
    require_whole(stored, name)
    if attr.COPIED_FROM in stored and not stored.get(attr.READY):
        raise OptdetError(
            f"{name!r} is a copy that was cut short", fix="run `optdet study copy` again, or give --name"
        )
    inner_of = stored.get(attr.INNER_OF)
    ours = attr.UUID in stored and inner_of is None
    if ours or not (stored or study.get_trials(deepcopy=False)):
        return
    kind = f"the threshold tuning of {inner_of}" if inner_of else "a study that optdet did not make"
    raise OptdetError(
        f"the name {name!r} is taken by {kind}",
        where="study create",
        fix=f"give another: --name {_free_name(database, name)}",
    )


def _complete(
    study: optuna.Study,
    config: StudyConfig,
    database: Database,
    data_root: Path,
    warmed: Mapping[str, Any] | None,
) -> None:
    """Everything that a study needs before its first trial; safe to repeat after a kill at any point."""
    stored = os.path.relpath(data_root.absolute(), database.places.root.absolute())
    study.set_user_attr(attr.UUID, study.user_attrs.get(attr.UUID) or str(uuid.uuid4()))
    if warmed is not None:
        study.set_user_attr(attr.WARM_START, dict(warmed))
    whole = with_queue_of(config, warmed)
    study.set_user_attr(attr.DEFINITION, whole.as_dict())
    study.set_user_attr(attr.DATA_ROOT, Path(stored).as_posix())
    links = links_of_queue(config, warmed)
    for number in range(len(study.get_trials(deepcopy=False)), len(whole.queue)):
        study.enqueue_trial(dict(whole.queue[number]), user_attrs=links[number])
    notes.write_study_note(database.storage, study, whole)
    study.set_user_attr(attr.READY, True)


def _require_same(
    study: optuna.Study, config: StudyConfig, database: Database, warm_start: WarmStart | None
) -> None:
    difference = difference_to(study.user_attrs, config, warm_start)
    if difference is None:
        return
    raise OptdetError(
        f"a study named {config.name!r} exists with another definition ({difference})",
        where="study create",
        fix=f"give this one a name of its own: --name {_free_name(database, config.name)}",
    )


def _free_name(database: Database, name: str) -> str:
    """The name with the first number behind it, from 2 on, that no study has; ``mine-3`` for ``mine-2``."""
    taken = {row.name for row in list_studies(database.storage)}
    bare = re.sub(r"-\d+$", "", name)
    stem = bare if bare in taken else name
    return next(free for number in count(2) if (free := f"{stem}-{number}") not in taken)


def run_name(database: Database, config: Config, stem: str) -> str:
    """A name for a training run: that of the same run if it is there already, else the next free one."""
    return name_for(database, one_trial_study(config, stem))


def name_for(database: Database, config: StudyConfig) -> str:
    """The study's own name, or the first with a number behind it, from 2 on, that no other study has."""
    taken = {row.name: row.attributes[attr.DEFINITION] for row in outer_studies(database)}
    numbered = (config.name if number == 1 else f"{config.name}-{number}" for number in count(1))
    return next(name for name in numbered if name not in taken or _is(config, name, taken[name]))


def _is(config: StudyConfig, name: str, definition: Mapping[str, Any]) -> bool:
    """Whether a study of that name and definition is this one."""
    there = validate(StudyConfig, definition, f"study {name}")
    return fingerprint(there) == fingerprint(config.model_copy(update={"name": name}))
