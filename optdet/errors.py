"""The error that a user sees as one line: what, where, what to do."""

from __future__ import annotations

from typing import Any


class OptdetError(Exception):
    """Something outside the program is wrong: a file, a setting, a name.

    The command line prints it as ``error: what, where, what to do`` and exits with 1.
    """

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        self.what = what
        self.where = where
        self.fix = fix
        super().__init__(": ".join(part for part in (where, what) if part) + (f"; {fix}" if fix else ""))

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels between processes by its parts; Exception's own way would make the whole line its what."""
        return _rebuilt, (type(self), self.what, self.where, self.fix)


def _rebuilt(kind: type[OptdetError], what: str, where: str | None, fix: str | None) -> OptdetError:
    return kind(what, where=where, fix=fix)


class TrialFailed(Exception):
    """A trial cannot go on (NaN loss, out of memory); the study can."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
