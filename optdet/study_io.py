"""Study files: the settings of a study and the config that it names in, a validated definition out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from optdet.config import Config, TuneConfig
from optdet.config_io import (
    Change,
    apply_changes,
    apply_params,
    config_from,
    is_study,
    parse_override,
    refuse_playbook,
    safe_name,
    set_dotted,
)
from optdet.errors import OptdetError
from optdet.search_space import Choice, Dimension, FloatRange
from optdet.setting_names import setting_names, unknown_setting
from optdet.settings_yaml import read_mapping
from optdet.study_config import StudyConfig
from optdet.validation import validate


def load_study(path: Path, overrides: Sequence[str] = (), *, name: str | None = None) -> StudyConfig:
    """A study file, or a config file as a study of one trial, with overrides applied.

    An override names a setting of the config (``optimizer.lr=...``) or, failing that, of the study
    (``trials=30``, ``pruner.name=none``). ``seed`` is both, and ``postprocess.trials`` the inner loop's.
    """
    tree, where = read_mapping(path), str(path)
    refuse_playbook(tree, path)
    if not is_study(tree):
        study = one_trial_study(config_from(tree, overrides, where), name or safe_name(path.stem))
        check_space(study, where)
        return study
    return study_in_file(tree, path, overrides, name=name)


def study_in_file(
    tree: Mapping[str, Any], path: Path, overrides: Sequence[str] = (), *, name: str | None = None
) -> StudyConfig:
    """The study that a file at ``path`` with these settings defines, with overrides applied."""
    tree, where = dict(tree), str(path)
    base = _base_tree(tree.get("config"), path)
    validate(Config, base, where if isinstance(tree.get("config"), Mapping) else str(tree["config"]))
    given = _overrides_of(tree, path)
    changes: list[Change] = [
        (f"{path}: overrides: {dotted}", partial(set_dotted, name=dotted, value=value))
        for dotted, value in given.items()
    ]
    base = apply_changes(base, changes, _checked_config, where)
    tree = {"name": safe_name(path.stem), **tree, "config": base}
    if name is not None:
        tree["name"] = name
    return study_from(tree, overrides, where)


def study_from(tree: Mapping[str, Any], overrides: Sequence[str], where: str) -> StudyConfig:
    """A study's settings, its config among them, with overrides applied as :func:`load_study` does."""
    validate(StudyConfig, tree, where)  # what is wrong here is the file's, not an override's
    changes: list[Change] = [
        (f"override {override}", partial(_override_study, override=override)) for override in overrides
    ]
    study = apply_changes(tree, changes, _checked_study, where)
    check_space(study, where)
    return study


def _checked_config(tree: Mapping[str, Any], where: str) -> dict[str, Any]:
    validate(Config, tree, where)
    return dict(tree)


def _checked_study(tree: Mapping[str, Any], where: str) -> StudyConfig:
    validate(Config, tree["config"], where)  # first, so that an error names a setting as an override does
    return validate(StudyConfig, tree, where)


def with_override(tree: Mapping[str, Any], override: str) -> dict[str, Any]:
    """A study file's settings with one override written into them."""
    name, value = parse_override(override)
    changed = dict(tree)
    for place in _places(tree, name, override):
        if place.startswith("config."):
            changes = {**(changed.get("overrides") or {}), place.removeprefix("config."): value}
            changed["overrides"] = changes
        else:
            changed = set_dotted(changed, place, value)
    return changed


def _override_study(tree: Mapping[str, Any], override: str) -> dict[str, Any]:
    """The study's settings with one override, in every place that its name stands for."""
    name, value = parse_override(override)
    space = tree.get("space")
    if isinstance(space, Mapping) and name in space:
        raise OptdetError(
            f"{name} is varied by the study's space, so one value for it would change nothing",
            where=f"override {override}",
            fix="queue the value with `optdet study enqueue`, or take the name out of the space",
        )
    for place in _places(tree, name, override):
        tree = set_dotted(tree, place, value)
    return dict(tree)


def _places(tree: Mapping[str, Any], name: str, override: str) -> list[str]:
    """Where in a study's settings a name stands: the config's have ``config.`` before them."""
    of_config = set(setting_names(Config))
    of_study = {other for other in setting_names(StudyConfig) if not other.startswith("config.")}
    inner = name.removeprefix("postprocess.").removeprefix("tune.")
    is_inner = name.startswith("postprocess.") and inner in setting_names(TuneConfig)
    if is_inner or name == "postprocess.tune":
        # A study's own inner loop stands in place of its config's, which would be changed to no effect.
        place = "postprocess" if tree.get("postprocess") is not None else "config.postprocess.tune"
        return [f"{place}.{inner}" if is_inner else place]
    places = [f"config.{name}"] if name in of_config else []
    if name in of_study and (not places or name == "seed"):
        places.append(name)
    if not places:
        raise unknown_setting(name, sorted(of_config | of_study), f"override {override}")
    return places


def _overrides_of(tree: dict[str, Any], path: Path) -> dict[str, Any]:
    """What a study file changes in the config that it names; taken out of ``tree``."""
    overrides = tree.pop("overrides", None) or {}
    if not isinstance(overrides, dict):
        raise OptdetError("`overrides:` is a mapping of dotted names to values", where=str(path))
    return overrides


def _base_tree(config: Any, path: Path) -> dict[str, Any]:
    if isinstance(config, Mapping):
        return dict(config)
    if isinstance(config, str):
        for folder in (path.parent, Path()):
            if (folder / config).is_file():
                return read_mapping(folder / config)
        raise OptdetError(
            f"config {config!r} is neither beside this file nor below the working directory", where=str(path)
        )
    raise OptdetError("a study needs `config:`, a path or the settings themselves", where=str(path))


def one_trial_study(config: Config, name: str) -> StudyConfig:
    """What ``optdet train`` runs: one trial with exactly these settings."""
    settings = {"name": name, "config": config, "trials": 1, "vary_seed": False, "seed": config.seed}
    return validate(StudyConfig, {**settings, "description": "one training run"}, f"study {name!r}")


def check_space(study: StudyConfig, where: str) -> None:
    """Every name of the space and of the queue is a setting, and every value one that it takes."""
    for name, dimension in study.space.items():
        _check_dimension(study.config, name, dimension, f"{where}: space")
    for number, params in enumerate(study.queue):
        place = f"{where}: queue[{number}]"
        for name, value in params.items():
            _check_queued(name, value, study.space.get(name), place)
        apply_params(study.config, params, place)


def _check_dimension(config: Config, name: str, dimension: Dimension, where: str) -> None:
    values: Sequence[Any]
    if isinstance(dimension, Choice):
        values = dimension.choices
    elif isinstance(dimension, FloatRange) and dimension.low < dimension.high:
        # One inside as well: whole ends alone would let a range of fractions pass for a whole number.
        inside = dimension.low + (dimension.step or (dimension.high - dimension.low) / math.pi)
        values = (dimension.low, min(inside, dimension.high), dimension.high)
    else:
        values = (dimension.low, dimension.high)
    for value in values:
        apply_params(config, {name: value}, where)


def _check_queued(name: str, value: Any, dimension: Dimension | None, where: str) -> None:
    """A queued value may lie outside a range; what is none of a name's choices has no place in a study."""
    if dimension is None:
        raise OptdetError(
            f"{name!r} is not in the space", where=where, fix="add it to `space:`, or set it in the config"
        )
    if isinstance(dimension, Choice) and value not in dimension.choices:
        choices = ", ".join(repr(choice) for choice in dimension.choices)
        raise OptdetError(f"{name} has no choice {value!r}", where=where, fix=f"choose among {choices}")
