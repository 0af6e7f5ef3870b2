"""Overrides as people give them: in our names, or in the baseline's, which are said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import typer


def in_our_names(overrides: Sequence[str] | None, also: Iterable[str] = ()) -> list[str]:
    """``name=value`` texts in our names; a line on stderr for each name replaced. ``also`` are ours too."""
    if not overrides:
        return []
    from optdet.baseline_names import rename_overrides
    from optdet.config import Config
    from optdet.setting_names import setting_names

    ours, notes = rename_overrides(overrides, [*setting_names(Config), *also])
    for note in notes:
        typer.echo(note, err=True)
    return ours
