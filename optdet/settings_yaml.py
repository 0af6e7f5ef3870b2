"""The part of YAML that settings are written in: plain scalars, lists, and mappings with text keys.

Unlike YAML 1.1 as PyYAML reads it, ``1e-4`` is a number and ``2024-01-01`` is text; a key given twice, an
alias and an explicit tag beyond the plain ones are refused. What is written here reads back the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from optdet.errors import OptdetError

_MAX_BYTES = 1 << 20
_MAX_DEPTH = 32
"""Of brackets: the time that PyYAML takes grows with the square of it."""


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads 1e-4 as a number and a date as text, and refuses a key that is given twice."""

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

    def fetch_flow_collection_start(self, token: Any) -> None:
        if self.flow_level >= _MAX_DEPTH:
            raise _yaml_error("brackets are nested too deeply", self.get_mark())
        super().fetch_flow_collection_start(token)

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise _yaml_error("aliases (*name) are not supported", mark)
        return super().compose_node(parent, index)


def _yaml_error(problem: str, mark: yaml.Mark) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


class _Dumper(yaml.SafeDumper):
    """SafeDumper that quotes text which ``_Loader`` would read as a number, and writes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # PyYAML writes U+0085 and its like unescaped, and reads them back as line breaks.
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)

_PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map")}
_Loader.yaml_constructors = {
    tag: build
    for tag, build in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag in _PLAIN_TAGS
}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in _PLAIN_TAGS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver(
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
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        raise OptdetError(f"not valid YAML: {problem}", where=place) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise OptdetError(f"not valid YAML: {str(error).splitlines()[0]}", where=where) from None


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; an empty file is an empty mapping."""
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would be waited for
            raise OptdetError("not a file", where=str(path))
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise OptdetError("larger than 1 MiB: not a settings file", where=str(path))
        text = content.decode("utf-8-sig")
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


def dump_yaml(tree: Mapping[str, Any]) -> str:
    text: str = yaml.dump(
        dict(tree), Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
    )
    return text
