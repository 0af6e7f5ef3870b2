"""Config and study files: settings and dotted overrides in, validated trees out, fingerprints.

A file holds only what differs from the defaults in :mod:`optdet.config`. An override is ``name=value`` with a
dotted name; its value is read as YAML, of which :mod:`optdet.settings_yaml` says what is accepted.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from optdet.config import Config, TuneConfig
from optdet.errors import OptdetError
from optdet.search_space import Choice, Dimension, FloatRange
from optdet.setting_names import setting_names, unknown_setting
from optdet.settings_yaml import dump_yaml, parse_yaml, read_mapping
from optdet.study_config import StudyConfig

Model = TypeVar("Model", bound=BaseModel)

_OTHER_TYPE = ("_type", "_parsing", "literal_error")
"""Endings of pydantic's names for values of another type."""


def parse_override(text: str) -> tuple[str, Any]:
    """``optimizer.lr=0.0004`` as its dotted name and its value."""
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise OptdetError(f"{text!r} is not an override", fix="write name=value, as optimizer.lr=0.0004")
    return name.strip(), parse_yaml(value, f"override {name}")


def set_dotted(tree: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """A copy of ``tree`` with the setting of a dotted name replaced."""
    head, dot, rest = name.partition(".")
    copy = dict(tree)
    if dot:
        child = copy.get(head)
        copy[head] = set_dotted(child if isinstance(child, Mapping) else {}, rest, value)
    else:
        copy[head] = value
    return copy


def validate(model: type[Model], tree: Mapping[str, Any], where: str) -> Model:
    """``tree`` as ``model``; the first thing wrong with it becomes an OptdetError of one line."""
    try:
        return model.model_validate(dict(tree))
    except ValidationError as error:
        # A name that is not known first: what is missing may be what it was meant for.
        errors = sorted(error.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden")
        paths = [_setting_path(each["loc"], tree, missing=each["type"] == "missing") for each in errors]
        path = paths[0]
        # Each member of a union complains; the one that takes the value's type says what is wrong with it.
        same = [each for each, other in zip(errors, paths, strict=True) if other == path]
        first = next((each for each in same if not each["type"].endswith(_OTHER_TYPE)), same[0])
        if first["type"] == "extra_forbidden":
            raise unknown_setting(path, list(setting_names(model)), where) from None
        message = _message(first)
        given = "" if isinstance(first["input"], dict | list) else f" (it is {first['input']!r})"
        text = f"{path}: {message}{given}" if path else message
        raise OptdetError(text, where=where) from None


def _message(error: Any) -> str:
    if error["type"] == "too_short":
        n = error["ctx"]["min_length"]
        return f"it needs {n} value{'s' if n > 1 else ''} or more"
    return str(error["msg"]).removeprefix("Value error, ")


def _setting_path(loc: Sequence[str | int], tree: Any, *, missing: bool) -> str:
    """Pydantic's place of an error as a dotted name: without the parts that are not in what was given."""
    names = []
    for number, part in enumerate(loc):
        given = range(len(tree)) if isinstance(tree, list | tuple) else tree
        if isinstance(given, Mapping | range) and part in given:
            tree = tree[part]
        elif not (missing and number == len(loc) - 1):
            continue  # the name of a union's member, or of a validator
        names.append(str(part))
    return ".".join(names)


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """A config file with overrides applied."""
    tree = read_mapping(path)
    if is_study(tree):
        raise OptdetError(
            "a study, where a config was expected", where=str(path), fix="give the config that it names"
        )
    _refuse_playbook(tree, path)
    return config_from(tree, overrides, str(path))


def config_from(tree: Mapping[str, Any], overrides: Sequence[str] = (), where: str = "config") -> Config:
    """Settings that differ from the defaults, with overrides applied, as a whole config."""
    validate(Config, tree, where)  # so that an error is said to be the file's or the override's, rightly
    for override in overrides:
        name, value = parse_override(override)
        tree = set_dotted(tree, name, value)
        validate(Config, tree, f"override {override}")
    return validate(Config, tree, where)


def load_study(path: Path, overrides: Sequence[str] = (), *, name: str | None = None) -> StudyConfig:
    """A study file, or a config file as a study of one trial, with overrides applied.

    An override names a setting of the config (``optimizer.lr=...``) or, failing that, of the study
    (``trials=30``, ``pruner.name=none``). ``seed`` is both, and ``postprocess.trials`` the inner loop's.
    """
    tree, where = read_mapping(path), str(path)
    _refuse_playbook(tree, path)
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
    for dotted, value in _overrides_of(tree, path).items():
        base = set_dotted(base, dotted, value)
        validate(Config, base, f"{path}: overrides: {dotted}")
    tree = {"name": safe_name(path.stem), **tree, "config": base}
    if name is not None:
        tree["name"] = name
    return study_from(tree, overrides, where)


def study_from(tree: Mapping[str, Any], overrides: Sequence[str], where: str) -> StudyConfig:
    """A study's settings, its config among them, with overrides applied as :func:`load_study` does."""
    study = validate(StudyConfig, tree, where)
    for override in overrides:
        varied = parse_override(override)[0]
        if varied in study.space:
            raise OptdetError(
                f"{varied} is varied by the study's space, so one value for it would change nothing",
                where=f"override {override}",
                fix="queue the value with `optdet study enqueue`, or take the name out of the space",
            )
        tree = _override_study(tree, override)
        study = validate(StudyConfig, tree, f"override {override}")
    check_space(study, where)
    return study


def _refuse_playbook(tree: Mapping[str, Any], path: Path) -> None:
    if "stages" in tree:
        raise OptdetError("a playbook", where=str(path), fix=f"run it: optdet playbook run {path}")


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
    for place in _places(tree, name, override):
        tree = set_dotted(tree, place, value)
    validate(Config, tree["config"], f"override {override}")
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


def is_study(tree: Mapping[str, Any]) -> bool:
    """Whether a file's settings are those of a study rather than of a config."""
    return "config" in tree or "space" in tree or "queue" in tree


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


def apply_params(config: Config, params: Mapping[str, Any], where: str = "trial") -> Config:
    """The config with dotted settings replaced, validated anew."""
    tree: dict[str, Any] = config.model_dump(mode="json")
    for name, value in params.items():
        tree = set_dotted(tree, name, value)
    return validate(Config, tree, where)


def differences(config: BaseModel) -> dict[str, Any]:
    """What differs from the defaults, as a file would hold it."""
    return config.model_dump(mode="json", exclude_defaults=True)


def dotted(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The settings of a tree by their dotted names; a list is one setting."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= dotted(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def fingerprint(model: BaseModel) -> str:
    """SHA-256 over every setting, defaults included, whatever their order in a file."""
    text = json.dumps(model.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def safe_name(stem: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).lstrip("-.") or "study"


__all__ = [
    "apply_params",
    "check_space",
    "config_from",
    "differences",
    "dotted",
    "dump_yaml",
    "fingerprint",
    "is_study",
    "load_config",
    "load_study",
    "one_trial_study",
    "parse_override",
    "parse_yaml",
    "read_mapping",
    "safe_name",
    "set_dotted",
    "study_from",
    "study_in_file",
    "validate",
    "with_override",
]
