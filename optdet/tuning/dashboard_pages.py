"""optuna-dashboard's pages, with links between studies that stay true, and within the width of the window."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
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
from optdet.tuning.dashboard_kept import KeptAnswer, settled_state
from optdet.tuning.dashboard_large import lighter
from optdet.tuning.links import write_links

Pages = Callable[[dict[str, Any], Any], Iterable[bytes]]
"""A WSGI application."""

_CHANGES_STUDIES = re.compile(r"POST /api/studies(/\d+/rename)?|DELETE /api/studies/\d+")
_STUDY = re.compile(r"GET /api/studies/(\d+)")
_FROM_THE_FIRST = {"", "after=0"}
"""Queries for all trials: an open page asks for those after the ones that it has."""
_JSON = "application/json"
_STYLE = b"<style>.MuiBox-root { min-width: 0; }</style>"
"""A trial's attributes are lines that do not break: without this one that holds a config makes the page ten
windows wide, and its pictures stand in one row."""


def viewing_storage(url: str) -> RDBStorage:
    """The database as the pages read it."""
    return open_storage(url, create=False, kind=partial(ViewingStorage, uuid_key=attr.UUID))


def dashboard_pages(storage: RDBStorage, artifacts_dir: Path) -> Pages:
    """The dashboard of a database with the files of a folder."""
    pages: Pages = optuna_dashboard.wsgi(storage, FileSystemArtifactStore(str(artifacts_dir)))
    study_pages = _StudyPages(pages, storage, KeptAnswer())

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        asked = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO'].rstrip('/')}"
        if re.match(r"GET /dashboard(/|$)", asked):
            return _changed(pages, environ, start_response, _styled)
        if study := _STUDY.fullmatch(asked):
            return study_pages.answer(int(study[1]), environ, start_response)
        answered = pages(environ, start_response)  # what was asked for is done by then
        if _CHANGES_STUDIES.fullmatch(asked):
            _make_links_true(storage)
        return answered

    return answer


@dataclass(frozen=True, slots=True)
class _StudyPages:
    """A study with its trials, lighter where there are many."""

    pages: Pages
    storage: RDBStorage
    kept: KeptAnswer

    def answer(self, study_id: int, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            if self.storage.get_study_directions(study_id) != [StudyDirection.MAXIMIZE]:
                return self.pages(environ, start_response)  # not ours
            trials = self.storage.get_all_trials(study_id, deepcopy=False)
            is_whole = environ.get("QUERY_STRING", "") in _FROM_THE_FIRST
            state = settled_state(self.storage, study_id, trials) if is_whole else None
        except KeyError:
            return self.pages(environ, start_response)  # there is no such study
        if (body := self.kept.of(state)) is not None:
            start_response("200 OK", [("Content-Type", _JSON), ("Content-Length", str(len(body)))])
            return [body]

        def change(body: bytes) -> bytes:
            changed = lighter(body, trials)
            self.kept.keep(state, trials, changed)
            return changed

        return _changed(self.pages, environ, start_response, change)


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
