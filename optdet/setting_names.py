"""The dotted names of settings, and the nearest to one that is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel

from optdet.errors import OptdetError

_N_NEAR = 2


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


def unknown_setting(name: str, known: Sequence[str], where: str) -> OptdetError:
    """The error for a name that is not among the dotted names ``known``: the nearest of them, else what there
    is in its place.
    """
    group = _parts(name)[0]
    beside = [other for other in known if _parts(other)[0] == group]
    near = _nearest(name, known)
    if name in known:
        fix = f"{group} is of another kind here: give it whole, as {group}={{type: ..., ...}}"
    elif near:
        fix = f"did you mean {' or '.join(near)}?"
    elif group and beside:
        fix = f"{group} has {', '.join(_parts(other)[1] for other in beside)}"
    else:
        top = dict.fromkeys(other.partition(".")[0] for other in known)
        fix = f"there are {', '.join(top)}; `optdet init` writes configs that use them"
    return OptdetError(f"unknown setting {name!r}", where=where, fix=fix)


def _nearest(name: str, known: Sequence[str]) -> list[str]:
    """Names that end alike, the nearest in the rest first; else those beside it, or anywhere, whose last part
    is like its own: what long names share before the last dot makes none near.
    """
    group, leaf = _parts(name)
    same_leaf = [other for other in known if _parts(other)[1] == leaf]
    if same_leaf:
        return get_close_matches(name, same_leaf, n=_N_NEAR, cutoff=0)
    places = [other for other in known if _parts(other)[0] == group] if group else []
    by_leaf: dict[str, str] = {}
    for other in sorted(places or known, key=lambda each: each.count(".")):
        by_leaf.setdefault(_parts(other)[1], other)
    leaves = get_close_matches(leaf.lower().replace("-", "_"), by_leaf, n=_N_NEAR, cutoff=0.6)
    return [by_leaf[near] for near in leaves]


def _parts(name: str) -> tuple[str, str]:
    """The group that a setting is in, without the numbers of lists, and its own name."""
    *groups, leaf = name.split(".")
    return ".".join(part for part in groups if not part.isdigit()), leaf
