"""Settings as a typed tree, or one line that says what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from optdet.errors import OptdetError
from optdet.setting_names import setting_names, unknown_setting

Model = TypeVar("Model", bound=BaseModel)

_OTHER_TYPE = ("_type", "_parsing", "literal_error")
"""Endings of pydantic's names for values of another type."""
_NO = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "no whole number"),
    **dict.fromkeys(("float_parsing", "float_type"), "no number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "neither true nor false"),
}
"""What a value of such an error is not."""


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
        is_said = first["type"] in _NO or isinstance(first["input"], dict | list)
        given = "" if is_said else f" (it is {first['input']!r})"
        text = f"{path}: {message}{given}" if path else message
        raise OptdetError(text, where=where) from None


def _message(error: Any) -> str:
    if error["type"] in _NO:
        value = error["input"]
        kinds = ((list, "a list"), (dict, "a section"), (type(None), "nothing"))
        said = next((name for kind, name in kinds if isinstance(value, kind)), repr(value))
        return f"{said} is {_NO[error['type']]}"
    if error["type"] == "too_short":
        n = error["ctx"]["min_length"]
        return f"it needs {n} value{'s' if n > 1 else ''} or more"
    if error["type"] == "string_pattern_mismatch" and "A-Z" in error["ctx"]["pattern"]:
        more = "- and ." if "." in error["ctx"]["pattern"] else "-"
        return f"a name begins with a letter of a-z, a digit or _, and has no others but {more}"
    # Of a section of several kinds, as a dimension of a space, one setting says which it is.
    if error["type"] == "union_tag_not_found":
        return f"it needs {error['ctx']['discriminator']}, which says of what kind it is"
    if error["type"] == "union_tag_invalid":
        context = error["ctx"]
        return f"{context['discriminator']} is one of {context['expected_tags']}, not {context['tag']!r}"
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
