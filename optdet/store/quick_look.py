"""The names in a SQLite database, for completion while somebody types: a look that writes nothing, waits for
nobody and imports nothing heavy. Of a database on a server, or of none, there is nothing to be seen.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

DEFAULT_STORAGE = Path("studies/optdet.db")
STORAGE_VARIABLE = "OPTDET_STORAGE"

_WAIT_S = 0.2


def study_names(storage: str | None, *, having: str, without: str) -> list[str]:
    """Of studies that have one user attribute and not another, the newest first."""
    with_key = 'SELECT study_id FROM study_user_attributes WHERE "key" = ?'
    query = (
        f"SELECT study_name FROM studies WHERE study_id IN ({with_key}) AND study_id NOT IN ({with_key})"
        " ORDER BY study_id DESC"
    )
    return [name for (name,) in _rows(storage, query, having, without)]


def finished_trials(storage: str | None, study: str) -> list[int]:
    """Numbers of its complete and pruned trials."""
    query = (
        "SELECT number FROM trials NATURAL JOIN studies"
        " WHERE study_name = ? AND state IN ('COMPLETE', 'PRUNED') ORDER BY number"
    )
    return [number for (number,) in _rows(storage, query, study)]


def study_attribute(storage: str | None, study: str, key: str) -> str | None:
    """The JSON of a user attribute; None where there is none."""
    query = (
        'SELECT value_json FROM study_user_attributes NATURAL JOIN studies WHERE study_name = ? AND "key" = ?'
    )
    return next((value for (value,) in _rows(storage, query, study, key)), None)


def _rows(storage: str | None, query: str, *values: str) -> list[Any]:
    """No rows, and no error, whatever the file is."""
    path = _file(storage or os.environ.get(STORAGE_VARIABLE) or str(DEFAULT_STORAGE))
    if path is None:
        return []
    try:
        if not path.is_file():
            return []
        url = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(url, uri=True, timeout=_WAIT_S)) as connection:
            return connection.execute(query, values).fetchall()
    except (sqlite3.Error, OSError, ValueError):
        return []


def _file(storage: str) -> Path | None:
    if storage.startswith("sqlite:///"):
        return Path(storage.removeprefix("sqlite:///"))
    return None if "://" in storage else Path(os.path.expanduser(storage))
