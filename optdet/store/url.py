"""Where the database of studies is: its URL or path, what is shown of it, and the folder of its files."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from optdet.errors import OptdetError
from optdet.store.quick_look import DEFAULT_STORAGE, STORAGE_VARIABLE


def storage_url(value: str | Path | None = None) -> str:
    """The URL of the database: of the argument, else of OPTDET_STORAGE, else of studies/optdet.db."""
    given = str(value or os.environ.get(STORAGE_VARIABLE) or DEFAULT_STORAGE)
    if "://" in given:
        # SQLAlchemy's default driver for a bare scheme changed between releases; this is the one we install.
        return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", given)
    if re.match(r"(sqlite|postgres(ql)?)(\+\w+)?:", given):
        raise OptdetError(
            "not a database URL", where=given, fix="write sqlite:///PATH or postgresql://USER@HOST/NAME"
        )
    path = os.path.expanduser(given)
    url = URL.create("sqlite", database=path).render_as_string(hide_password=False)
    if make_url(url).database != path:
        raise OptdetError("this path cannot be written as a URL", where=given, fix="leave out '?' and '%'")
    return url


def root_of(url: str | Path, root: str | Path | None = None) -> Path:
    """Where a study's files lie: the given root, else the SQLite file's folder, else ./studies; absolute."""
    if root is not None:
        return Path(root).expanduser().absolute()
    file = file_of(parse_url(storage_url(url)))
    return (file.parent if file else DEFAULT_STORAGE.parent).absolute()


def parse_url(url: str) -> URL:
    """OptdetError for a URL that is none, or of a database in which studies cannot be kept."""
    try:
        parsed = make_url(url)
        known = parsed.get_backend_name() in ("sqlite", "postgresql")
    except (SQLAlchemyError, ValueError) as error:
        raise OptdetError(
            "not a database URL",
            where=re.sub(r"//[^/]*@", "//***@", url),
            fix="write sqlite:///PATH or postgresql://USER@HOST/NAME",
        ) from error
    if not known:
        raise OptdetError(
            f"studies cannot be kept in {parsed.get_backend_name()}",
            where=shown(parsed),
            fix="use a SQLite file or postgresql://USER@HOST/NAME",
        )
    if is_sqlite(parsed) and parsed.host:
        raise OptdetError("a SQLite URL has three slashes", where=shown(parsed), fix="write sqlite:///PATH")
    if is_sqlite(parsed) and (parsed.database or ":memory:").startswith((":memory:", "file:")):
        raise OptdetError("studies need a database file", where=shown(parsed), fix="write sqlite:///PATH")
    return parsed


def is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def file_of(url: URL) -> Path | None:
    """The file of a SQLite database; None for one on a server."""
    return Path(url.database) if is_sqlite(url) and url.database else None


def shown_url(url: str) -> str:
    """A database as it may be shown: a URL without its password, a path as it is."""
    return shown(make_url(url)) if "://" in url else url


def shown(url: URL) -> str:
    """Without the password, which PostgreSQL takes in the query too."""
    if "password" in url.query:
        url = url.update_query_dict({"password": "***"})
    return url.render_as_string(hide_password=True).replace("password=%2A%2A%2A", "password=***")
