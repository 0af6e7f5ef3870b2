"""A playbook with its database: what running it and looking at it begin with."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from optdet.digest import file_sha256
from optdet.playbook.context import Context, Display, own_dir
from optdet.playbook.definition import PlaybookConfig
from optdet.playbook.preflight import check_ahead
from optdet.playbook.result import WrittenFile
from optdet.playbook.runner import is_running
from optdet.playbook.score import LOCAL, Board, Reader
from optdet.playbook.status import Status, status_of
from optdet.playbook.steps import look_at_steps
from optdet.store.url import file_of, parse_url, storage_url
from optdet.tuning.study import Database, open_database
from optdet.tuning.submissions import board_score


def open_playbook(
    playbook: PlaybookConfig,
    folder: Path,
    display: Display,
    device: str,
    storage: str | None,
    root: str | None,
) -> Context:
    """What a run works with; ``folder`` is that of the playbook file."""
    database = open_database(storage, root, create=True)
    return Context(
        playbook=playbook,
        folder=folder,
        database=database,
        storage=storage,
        root=root,
        device=device,
        display=display,
        reader=reader_of(playbook, database),
    )


def look_ahead(
    playbook: PlaybookConfig, folder: Path, display: Display, storage: str | None, root: str | None
) -> None:
    """What a run begins with; where there is no database yet, without making one."""
    file = file_of(parse_url(storage_url(storage)))
    if file is None or file.exists():
        check_ahead(open_playbook(playbook, folder, display, "auto", storage, root))
        return
    with tempfile.TemporaryDirectory() as empty:
        check_ahead(open_playbook(playbook, folder, display, "auto", str(Path(empty) / "none.db"), root))


def reader_of(playbook: PlaybookConfig, database: Database) -> Reader:
    return Board(_board_scores(database, playbook.board)) if playbook.wait == "leaderboard" else LOCAL


def status(
    playbook: PlaybookConfig, storage: str | None, root: str | None, *, chosen: Sequence[str] = ()
) -> Status:
    """Where a playbook is; without a database it has not begun.

    A step whose stage was changed in the file since is shown, and noted: only running refuses it.
    """
    file = file_of(parse_url(storage_url(storage)))
    if file is not None and not file.exists():
        reader = Board(lambda file: None) if playbook.wait == "leaderboard" else LOCAL
        return status_of(playbook, (), reader, lambda file: False, chosen)
    database = open_database(storage, root)
    steps, changes = look_at_steps(database.storage, playbook)
    said = _board_scores(database, playbook.board)
    return status_of(
        playbook,
        steps,
        reader_of(playbook, database),
        lambda file: said(file) is not None,
        chosen,
        notes=[str(change) for change in changes],
        is_running=is_running(own_dir(database, playbook)),
    )


def _board_scores(database: Database, board: str) -> Callable[[WrittenFile], float | None]:
    """What a leaderboard said of a file, by its bytes."""

    def said(file: WrittenFile) -> float | None:
        digest = file.sha256
        if digest is None:
            path = Path(file.path)
            if not path.is_file():
                return None
            digest = file_sha256(path)
        score = board_score(database, digest, board)
        return None if score is None else score.hmean

    return said
