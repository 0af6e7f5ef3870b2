"""optuna-dashboard's pages, with links between studies that stay true, and within the width of the window.

The dashboard opens the database for itself, by its URL. Its reads then stay plain readers, where a storage of
optdet's would take SQLite's write lock for some of them, which running workers need.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import optuna_dashboard
from optuna.artifacts import FileSystemArtifactStore

from optdet.errors import OptdetError
from optdet.store.engine import close_storage, open_storage
from optdet.tuning.links import write_links

Pages = Callable[[dict[str, Any], Any], Iterable[bytes]]
"""A WSGI application."""

_CHANGES_STUDIES = re.compile(r"POST /api/studies(/\d+/rename)?|DELETE /api/studies/\d+")
_STYLE = b"<style>.MuiBox-root { min-width: 0; }</style>"
"""A trial's attributes are lines that do not break: without this one that holds a config makes the page ten
windows wide, and its pictures stand in one row."""


def dashboard_pages(url: str, artifacts_dir: Path) -> Pages:
    """The dashboard of a database with the files of a folder."""
    # Optuna formats the URL as a template: a brace in a path must be doubled.
    template = url.replace("{", "{{").replace("}", "}}")
    pages: Pages = optuna_dashboard.wsgi(template, FileSystemArtifactStore(str(artifacts_dir)))

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        asked = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO'].rstrip('/')}"
        if re.match(r"GET /dashboard(/|$)", asked):
            return _styled(pages, environ, start_response)
        answered = pages(environ, start_response)  # what was asked for is done by then
        if _CHANGES_STUDIES.fullmatch(asked):
            _make_links_true(url)
        return answered

    return answer


def _styled(pages: Pages, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """The one HTML page that there is, whole: a browser that has kept it has it without the style."""
    kept = {"HTTP_IF_MODIFIED_SINCE", "HTTP_IF_NONE_MATCH", "HTTP_RANGE"}
    said: list[Any] = []
    answered = pages(
        {key: value for key, value in environ.items() if key not in kept}, lambda *told: said.extend(told)
    )
    body = b"".join(answered).replace(b"</head>", _STYLE + b"</head>", 1)
    if hasattr(answered, "close"):
        answered.close()
    status, headers, *rest = said
    headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
    start_response(status, [*headers, ("Content-Length", str(len(body)))], *rest)
    return [body]


def _make_links_true(url: str) -> None:
    """After the dashboard has made, renamed or deleted a study: ids have changed hands."""
    try:
        storage = open_storage(url, create=False)
        try:
            write_links(storage)
        finally:
            close_storage(storage)
    except OptdetError as error:
        print(f"the links in notes are not up to date: {error}", file=sys.stderr)
