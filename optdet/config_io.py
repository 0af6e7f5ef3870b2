"""Config files: settings and dotted overrides in, a validated config out; fingerprints.

A file holds only what differs from the defaults in :mod:`optdet.config`. An override is ``name=value`` with a
dotted name; its value is read as YAML, of which :mod:`optdet.settings_yaml` says what is accepted.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from optdet.config import Config
from optdet.errors import OptdetError
from optdet.settings_yaml import parse_yaml, read_mapping
from optdet.validation import validate

T = TypeVar("T")


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


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """A config file with overrides applied."""
    tree = read_mapping(path)
    if is_study(tree):
        raise OptdetError(
            "a study, where a config was expected", where=str(path), fix="give the config that it names"
        )
    refuse_playbook(tree, path)
    return config_from(tree, overrides, str(path))


def config_from(tree: Mapping[str, Any], overrides: Sequence[str] = (), where: str = "config") -> Config:
    """Settings that differ from the defaults, with overrides applied, as a whole config."""
    validate(Config, tree, where)  # what is wrong here is the file's, not an override's

    def change(override: str) -> Change:
        return f"override {override}", lambda tree: set_dotted(tree, *parse_override(override))

    return apply_changes(tree, [change(each) for each in overrides], partial(validate, Config), where)


Change = tuple[str, Callable[[Mapping[str, Any]], dict[str, Any]]]
"""What to call it, and the settings with it made."""


def apply_changes(
    tree: Mapping[str, Any],
    changes: Sequence[Change],
    check: Callable[[Mapping[str, Any], str], T],
    where: str,
) -> T:
    """What ``check`` makes of settings with all changes in them: some go in pairs, and are wrong by half.

    What it finds wrong is said of the change without which all would be right; else of the first without
    which something else would be wrong.
    """
    changed = _with(tree, changes)
    try:
        return check(changed, changes[-1][0] if changes else where)
    except OptdetError as error:
        without = []
        for place in range(len(changes)):
            others = [*changes[:place], *changes[place + 1 :]]
            try:
                check(_with(tree, others), where)
                without.append("")
            except OptdetError as other:
                without.append(other.what)
        blamed = [name for (name, _), what in zip(changes, without, strict=True) if not what]
        blamed += [name for (name, _), what in zip(changes, without, strict=True) if what != error.what]
        raise OptdetError(error.what, where=[*blamed, error.where][0], fix=error.fix) from None


def _with(tree: Mapping[str, Any], changes: Sequence[Change]) -> Mapping[str, Any]:
    for _, change in changes:
        tree = change(tree)
    return tree


def is_study(tree: Mapping[str, Any]) -> bool:
    """Whether a file's settings are those of a study rather than of a config."""
    return "config" in tree or "space" in tree or "queue" in tree


def refuse_playbook(tree: Mapping[str, Any], path: Path) -> None:
    """OptdetError for the settings of a playbook, which hold neither a config nor a study."""
    if "stages" in tree:
        raise OptdetError("a playbook", where=str(path), fix=f"run it: optdet playbook run {path}")


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
