"""optuna-dashboard's pages, with links between studies that stay true, and within the width of the window."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import RLock
from typing import Any

import optuna_dashboard
from optuna.artifacts import FileSystemArtifactStore
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from optdet.errors import OptdetError
from optdet.store.engine import open_storage
from optdet.store.viewing import ViewingStorage
from optdet.tuning import attributes as attr
from optdet.tuning.dashboard_kept import KeptAnswer, settled_state
from optdet.tuning.dashboard_large import lighter
from optdet.tuning.links import write_links
from optdet.tuning.named_files import is_shared

Pages = Callable[[dict[str, Any], Any], Iterable[bytes]]
"""A WSGI application."""

_CHANGES_STUDIES = re.compile(r"POST /api/studies(/\d+/rename)?|DELETE /api/studies/\d+")
_STUDY = re.compile(r"GET /api/studies/(\d+)")
_IMPORTANCES = re.compile(r"GET /api/studies/(\d+)/param_importances")
_FROM_THE_FIRST = {"", "after=0"}
"""Queries for all trials: an open page asks for those after the ones that it has."""
_STYLE = b"<style>.MuiBox-root { min-width: 0; }</style>"
"""A trial's attributes are lines that do not break: without this one that holds a config makes the page ten
windows wide, and its pictures stand in one row."""


def viewing_storage(url: str) -> RDBStorage:
    """The database as the pages read it."""
    return open_storage(url, create=False, kind=partial(ViewingStorage, uuid_key=attr.UUID))


def dashboard_pages(storage: RDBStorage, artifacts_dir: Path) -> Pages:
    """The dashboard of a database with the files of a folder."""
    pages: Pages = optuna_dashboard.wsgi(storage, _SharedFiles(storage, artifacts_dir))
    study_pages = _StudyPages(pages, storage)

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        asked = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO'].rstrip('/')}"
        if re.match(r"GET /dashboard(/|$)", asked):
            return _changed(pages, environ, start_response, _styled)
        if study := _STUDY.fullmatch(asked):
            return study_pages.answer(int(study[1]), environ, start_response)
        if study := _IMPORTANCES.fullmatch(asked):
            # A page asks for both at once, and they take turns: without its trials it shows nothing at all.
            study_pages.make_ready(int(study[1]), environ)
        answered = pages(environ, start_response)  # what was asked for is done by then
        if _CHANGES_STUDIES.fullmatch(asked):
            _make_links_true(storage)
        return answered

    return answer


class _SharedFiles(FileSystemArtifactStore):
    """Files of studies; one that a copy of its study shows too stays when one of the two is deleted."""

    def __init__(self, storage: RDBStorage, folder: Path) -> None:
        super().__init__(str(folder))
        self._storage = storage
        self._root = folder.parent

    def remove(self, artifact_id: str) -> None:
        if not is_shared(self._storage, self._root, artifact_id):
            super().remove(artifact_id)


@dataclass(frozen=True, slots=True)
class _StudyPages:
    """A study with its trials, lighter where there are many."""

    pages: Pages
    storage: RDBStorage
    kept: KeptAnswer = field(default_factory=KeptAnswer)
    one_at_a_time: RLock = field(default_factory=RLock)
    """An answer that is kept is made once; who asks for it meanwhile waits."""

    def answer(self, study_id: int, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with self.one_at_a_time:
            trials, state = self._found(study_id)
            if trials is None:
                return self.pages(environ, start_response)
            if environ.get("QUERY_STRING", "") not in _FROM_THE_FIRST:
                state = None
            if (body := self.kept.of(state)) is None:
                return _changed(self.pages, environ, start_response, partial(self._lighter, trials, state))
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def make_ready(self, study_id: int, environ: dict[str, Any]) -> None:
        """Make the answer for a large study, and keep it."""
        with self.one_at_a_time:
            _, state = self._found(study_id)
            if state is not None and self.kept.of(state) is None:
                asked = {"PATH_INFO": f"/api/studies/{study_id}", "QUERY_STRING": ""}
                self.answer(study_id, environ | asked, lambda *_: None)

    def _found(self, study_id: int) -> tuple[list[FrozenTrial] | None, Hashable]:
        """The trials of a study, None where it is not ours or gone; and its state, see `settled_state`."""
        try:
            if self.storage.get_study_directions(study_id) != [StudyDirection.MAXIMIZE]:
                return None, None
            trials = self.storage.get_all_trials(study_id, deepcopy=False)
            return trials, settled_state(self.storage, study_id, trials)
        except KeyError:
            return None, None

    def _lighter(self, trials: Sequence[FrozenTrial], state: Hashable, body: bytes) -> bytes:
        changed = lighter(body, trials)
        self.kept.keep(state, trials, changed)
        return changed


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
