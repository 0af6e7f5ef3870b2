"""The error that a user sees as one line: what, where, what to do."""

from __future__ import annotations

from typing import Any

_LONGEST = 400
"""Characters of a part that are shown: what stands in a file may be of any length."""


class OptdetError(Exception):
    """Something outside the program is wrong: a file, a setting, a name.

    The command line prints it as ``error: what, where, what to do`` and exits with 1.
    """

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        self.what = what
        self.where = where
        self.fix = fix
        line = ": ".join(part for part in (_shown(where), _shown(what)) if part)
        super().__init__(line + (f"; {_shown(fix)}" if fix else ""))

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels between processes by its parts; Exception's own way would make the whole line its what."""
        return _rebuilt, (type(self), self.what, self.where, self.fix)


def _rebuilt(kind: type[OptdetError], what: str, where: str | None, fix: str | None) -> OptdetError:
    return kind(what, where=where, fix=fix)


def _shown(part: str | None) -> str:
    """On one line, of a length that can be read, and without what a terminal would obey or cannot print."""
    text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in part or "")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 105]} ... {text[-100:]}"


class TrialFailed(Exception):
    """A trial cannot go on (NaN loss, out of memory); the study can."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
