"""The study that a command is about: the one that is named, else the newest unfinished one, which is said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from optdet.tuning.study import OpenStudy


def open_study(
    name: str | None, storage: str | None, root: str | None, data_root: str | None, *, say: bool = True
) -> OpenStudy:
    from optdet.tuning.study import find_study, load_study, open_database

    database = open_database(storage, root)
    found = find_study(database, name)
    if name is None and say:
        typer.echo(f"study {found}", err=True)
    return load_study(database, found, data_root=Path(data_root) if data_root else None)
