"""optuna-dashboard's pages, with links between studies that stay true, and within the width of the window."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import optuna_dashboard
from optuna.artifacts import FileSystemArtifactStore
from optuna.storages import RDBStorage
from optuna.study import StudyDirection

from optdet.errors import OptdetError
from optdet.store.engine import open_storage
from optdet.store.viewing import ViewingStorage
from optdet.tuning import attributes as attr
from optdet.tuning.dashboard_large import lighter
from optdet.tuning.links import write_links

Pages = Callable[[dict[str, Any], Any], Iterable[bytes]]
"""A WSGI application."""

_CHANGES_STUDIES = re.compile(r"POST /api/studies(/\d+/rename)?|DELETE /api/studies/\d+")
_STUDY = re.compile(r"GET /api/studies/(\d+)")
_STYLE = b"<style>.MuiBox-root { min-width: 0; }</style>"
"""A trial's attributes are lines that do not break: without this one that holds a config makes the page ten
windows wide, and its pictures stand in one row."""


def viewing_storage(url: str) -> RDBStorage:
    """The database as the pages read it."""
    return open_storage(url, create=False, kind=partial(ViewingStorage, uuid_key=attr.UUID))


def dashboard_pages(storage: RDBStorage, artifacts_dir: Path) -> Pages:
    """The dashboard of a database with the files of a folder."""
    pages: Pages = optuna_dashboard.wsgi(storage, FileSystemArtifactStore(str(artifacts_dir)))

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        asked = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO'].rstrip('/')}"
        if re.match(r"GET /dashboard(/|$)", asked):
            return _changed(pages, environ, start_response, _styled)
        if study := _STUDY.fullmatch(asked):
            return _changed(pages, environ, start_response, partial(_lighter, storage, int(study[1])))
        answered = pages(environ, start_response)  # what was asked for is done by then
        if _CHANGES_STUDIES.fullmatch(asked):
            _make_links_true(storage)
        return answered

    return answer


def _lighter(storage: RDBStorage, study_id: int, body: bytes) -> bytes:
    try:
        if storage.get_study_directions(study_id) != [StudyDirection.MAXIMIZE]:
            return body  # not ours
        return lighter(body, storage.get_all_trials(study_id, deepcopy=False))
    except KeyError:
        return body  # there is no such study


def _styled(page: bytes) -> bytes:
    return page.replace(b"</head>", _STYLE + b"</head>", 1)


def _changed(
    pages: Pages, environ: dict[str, Any], start_response: Any, change: Callable[[bytes], bytes]
) -> Iterable[bytes]:
    """The answer with its body changed, whole: what a browser has kept may be of another version."""
    kept = {"HTTP_IF_MODIFIED_SINCE", "HTTP_IF_NONE_MATCH", "HTTP_RANGE"}
    said: list[Any] = []
    answered = pages(
        {key: value for key, value in environ.items() if key not in kept}, lambda *told: said.extend(told)
    )
    body = change(b"".join(answered))
    if hasattr(answered, "close"):
        answered.close()
    status, headers, *rest = said
    headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
    start_response(status, [*headers, ("Content-Length", str(len(body)))], *rest)
    return [body]


def _make_links_true(storage: RDBStorage) -> None:
    """After the dashboard has made, renamed or deleted a study: ids have changed hands."""
    try:
        write_links(storage)
    except OptdetError as error:
        print(f"the links in notes are not up to date: {error}", file=sys.stderr)
