"""What the shell completes: studies, their trials, and beside them files. The rest is the shell's own.

A shell calls the program at every press of Tab, so nothing heavy is imported here, and nothing is said: where
there is no database, nothing is completed.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

_COMPLETES = "_OPTDET_COMPLETE"
_BASH = "complete_bash"


def in_bash() -> bool:
    return os.environ.get(_COMPLETES) == _BASH


def complete_in_bash(program: Callable[[], Any]) -> None:
    """Answer bash, which takes words apart at colons, and so STUDY:TRIAL too, and then replaces what stands
    behind the last one."""
    given = os.environ.get("COMP_WORDS", "").split("\n"), os.environ.get("COMP_CWORD", "")
    words, place = _joined(*given)
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = "\n".join(words), str(place)
    n_kept = (words[place] if place < len(words) else "").rfind(":") + 1
    answer = io.StringIO()
    try:
        with redirect_stdout(answer):
            program()
    finally:
        sys.stdout.write("".join(line[n_kept:] for line in answer.getvalue().splitlines(keepends=True)))


def _joined(words: list[str], place: str) -> tuple[list[str], int]:
    wanted = int(place) if place.isdecimal() else len(words)
    joined: list[str] = []
    at = len(words)
    for index, word in enumerate(words):
        if joined and (word.startswith(":") or joined[-1].endswith(":")):
            joined[-1] += word
        else:
            joined.append(word)
        if index == wanted:
            at = len(joined) - 1
    return joined, min(at, len(joined))


def studies(ctx: Any, incomplete: str) -> list[str]:
    """Names of studies."""
    return _offered(_names(ctx), incomplete)


def trials(ctx: Any, incomplete: str) -> list[str]:
    """STUDY, or STUDY:TRIAL once the study is written."""
    study, colon, _ = incomplete.partition(":")
    return _offered(_numbers(ctx, study) if colon else _names(ctx), incomplete)


def networks(ctx: Any, incomplete: str) -> list[str]:
    """The same, and the files that begin so where a study does."""
    found = trials(ctx, incomplete)
    return [*found, *_files(incomplete)] if found and ":" not in incomplete else found


def sources(ctx: Any, incomplete: str) -> list[str]:
    """The same, and STUDY:oof of a study over folds."""
    study, colon, _ = incomplete.partition(":")
    pooled = [f"{study}:oof"] if colon and _varies_fold(ctx, study) else []
    return [*networks(ctx, incomplete), *_offered(pooled, incomplete)]


def _names(ctx: Any) -> list[str]:
    from optdet.store.quick_look import study_names
    from optdet.tuning import attributes as attr

    return study_names(_storage(ctx), having=attr.READY, without=attr.INNER_OF)


def _numbers(ctx: Any, study: str) -> list[str]:
    from optdet.store.quick_look import finished_trials

    return [f"{study}:{number}" for number in finished_trials(_storage(ctx), study)]


def _varies_fold(ctx: Any, study: str) -> bool:
    from optdet.store.quick_look import study_attribute
    from optdet.tuning import attributes as attr

    definition = study_attribute(_storage(ctx), study, attr.DEFINITION)
    return definition is not None and "data.fold" in json.loads(definition).get("space", {})


def _storage(ctx: Any) -> str | None:
    """What was given before the word that is completed."""
    given = ctx.params.get("storage")
    return given if isinstance(given, str) else None


def _files(incomplete: str) -> list[str]:
    """As bash and zsh name them, folders with a slash; none that is hidden."""
    folder, name = os.path.split(incomplete)
    try:
        entries = sorted(Path(folder or ".").iterdir())
    except OSError:
        return []
    shown = [each for each in entries if each.name.startswith(name) and not each.name.startswith(".")]
    return [os.path.join(folder, each.name) + ("/" if each.is_dir() else "") for each in shown]


def _offered(values: Iterable[str], incomplete: str) -> list[str]:
    return [value for value in values if value.startswith(incomplete)]
