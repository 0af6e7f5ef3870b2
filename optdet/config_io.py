"""Config and study files: YAML in, YAML out, dotted overrides, one-line errors, fingerprints.

A file holds only what differs from the defaults in :mod:`optdet.config`. An override is ``name=value`` with a
dotted name; its value is read as YAML. Nothing but plain scalars, lists and mappings is accepted from YAML.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from optdet.config import Config
from optdet.errors import OptdetError
from optdet.study_config import StudyConfig

Model = TypeVar("Model", bound=BaseModel)
_MAX_BYTES = 1 << 20


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads 1e-4 as a number, and refuses a key that is given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key!r} is not text", problem_mark=key_node.start_mark
                )
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key!r} is given twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise _yaml_error("aliases (*name) are not supported", mark)
        return super().compose_node(parent, index)


def _yaml_error(problem: str, mark: yaml.Mark) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*(\.\d*)?|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def parse_yaml(text: str, where: str) -> Any:
    """One YAML document as plain Python; ``where`` names it in errors."""
    try:
        return _Loader(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{where}:{mark.line + 1}:{mark.column + 1}" if mark else where
        raise OptdetError(f"not valid YAML: {error.problem}", where=place) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise OptdetError(f"not valid YAML: {str(error).splitlines()[0]}", where=where) from None


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; an empty file is an empty mapping."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise OptdetError("larger than 1 MiB: not a settings file", where=str(path))
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise OptdetError("no such file", where=str(path), fix=_nearest_file(path)) from None
    except UnicodeDecodeError as error:
        raise OptdetError(
            f"not UTF-8 at byte {error.start}", where=str(path), fix="save it as UTF-8"
        ) from None
    except OSError as error:
        raise OptdetError(f"cannot be read: {error.strerror}", where=str(path)) from None
    document = parse_yaml(text, str(path))
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise OptdetError("expected a mapping of settings at the top", where=str(path))
    return document


def _nearest_file(path: Path) -> str | None:
    folder = path.parent
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    near = get_close_matches(path.name, names, n=1)
    return f"did you mean {folder / near[0]}?" if near else None


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


def setting_names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Dotted names of every setting below ``model``, groups included."""
    for name, field in model.model_fields.items():
        yield prefix + name
        for inner in _models_in(field.annotation):
            yield from setting_names(inner, f"{prefix}{name}.")


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    found = [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []
    for argument in get_args(annotation):
        found += _models_in(argument)
    return found


def validate(model: type[Model], tree: Mapping[str, Any], where: str) -> Model:
    """``tree`` as ``model``; the first thing wrong with it becomes an OptdetError of one line."""
    try:
        return model.model_validate(dict(tree))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"] if not str(part).startswith("function-"))
        if first["type"] == "extra_forbidden":
            raise unknown_setting(path, model, where) from None
        message = first["msg"].removeprefix("Value error, ")
        given = "" if isinstance(first["input"], dict | list) else f" (it is {first['input']!r})"
        text = f"{path}: {message}{given}" if path else message
        raise OptdetError(text, where=where) from None


def unknown_setting(name: str, model: type[BaseModel], where: str) -> OptdetError:
    """The error for a name that ``model`` does not have, with the nearest ones that it has."""
    known = list(setting_names(model))
    leaf = name.rsplit(".", 1)[-1]
    same_leaf = [other for other in known if other.rsplit(".", 1)[-1] == leaf]
    near = same_leaf[:2] or get_close_matches(name, known, n=2, cutoff=0.5)
    return OptdetError(
        f"unknown setting {name!r}",
        where=where,
        fix=f"did you mean {' or '.join(near)}?" if near else "see optdet/config.py for all settings",
    )


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """A config file with overrides applied."""
    return config_from(read_mapping(path), overrides, str(path))


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
    (``trials=30``, ``pruner.name=none``).
    """
    tree = read_mapping(path)
    if not is_study(tree):
        return one_trial_study(config_from(tree, overrides, str(path)), name or _safe_name(path.stem))
    tree.setdefault("name", _safe_name(path.stem))
    if name is not None:
        tree["name"] = name
    base = _base_tree(tree.get("config"), path)
    validate(Config, base, str(path) if isinstance(tree.get("config"), Mapping) else str(tree["config"]))
    study = validate(StudyConfig, {**tree, "config": base}, str(path))
    names, config_names = set(setting_names(StudyConfig)), set(setting_names(Config))
    tree = {**tree, "config": base}
    for override in overrides:
        dotted, value = parse_override(override)
        if dotted in names and dotted not in config_names and not dotted.startswith("config."):
            tree = set_dotted(tree, dotted, value)
        else:
            validate(Config, set_dotted(tree["config"], dotted, value), f"override {override}")
            tree = set_dotted(tree, f"config.{dotted}", value)
        study = validate(StudyConfig, tree, f"override {override}")
    check_space(study, str(path))
    return study


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
    return StudyConfig(
        name=name, config=config, trials=1, vary_seed=False, seed=config.seed, description="one training run"
    )


def check_space(study: StudyConfig, where: str) -> None:
    """Every name of the space and of the queue is a setting, and every value one that it takes."""
    for name, dimension in study.space.items():
        ends = dimension.choices if dimension.type == "categorical" else (dimension.low, dimension.high)
        for value in ends:
            apply_params(study.config, {name: value}, f"{where}: space")
    for number, params in enumerate(study.queue):
        unknown = [name for name in params if name not in study.space]
        if unknown:
            raise OptdetError(
                f"queue[{number}] sets {unknown[0]!r}, which is not in the space",
                where=where,
                fix="add it to `space:`, or set it in the config",
            )
        apply_params(study.config, params, f"{where}: queue[{number}]")


def apply_params(config: Config, params: Mapping[str, Any], where: str = "trial") -> Config:
    """The config with dotted settings replaced, validated anew."""
    tree: dict[str, Any] = config.model_dump(mode="json")
    for name, value in params.items():
        tree = set_dotted(tree, name, value)
    return validate(Config, tree, where)


def differences(config: BaseModel) -> dict[str, Any]:
    """What differs from the defaults, as a file would hold it."""
    return config.model_dump(mode="json", exclude_defaults=True)


def dump_yaml(tree: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(tree), sort_keys=False, allow_unicode=True, default_flow_style=None, width=100)


def fingerprint(model: BaseModel) -> str:
    """SHA-256 over every setting, defaults included, whatever their order in a file."""
    text = json.dumps(model.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _safe_name(stem: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).lstrip("-.") or "study"
