"""The registry of submissions: files that commands write, found again by their bytes, and issued again.

The file is written first, then its row: a process that is killed between the two leaves a file that the same
command registers when it is run again. A database that cannot be written costs the row, never the file.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from optdet.data.files import write_atomically
from optdet.data.names import nfc
from optdet.data.prediction_check import summarize_predictions
from optdet.data.predictions import read_predictions
from optdet.digest import file_sha256
from optdet.errors import OptdetError
from optdet.inference.folder import WrittenPredictions
from optdet.store.engine import close_storage
from optdet.store.places import Places
from optdet.store.submissions import (
    BOARDS,
    Board,
    BoardScore,
    LocalScores,
    SubmissionRecord,
    list_board_scores,
    list_submissions,
    move_submission,
    record_board_score,
    save_submission,
    submission_of,
)
from optdet.store.url import file_of, parse_url, storage_url
from optdet.structures import SubmissionSource
from optdet.tuning.links import write_links
from optdet.tuning.study import Database, open_database
from optdet.tuning.submission_places import content_of, stored_path

_MIN_DIGITS = 6


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a file beside its bytes; see :class:`SubmissionRecord`. Paths in ``sources`` may be
    relative to the working directory."""

    command: str
    sources: Sequence[SubmissionSource] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    origin: str | None = None
    local: LocalScores | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A score that was kept: what the same board said before, and whether the file's bytes are kept too."""

    record: SubmissionRecord
    score: BoardScore
    before: BoardScore | None
    is_kept: bool


def open_registry(storage: str | None, root: str | None = None) -> Database:
    """The database of a command that only asks; OptdetError where no file was written yet."""
    file = file_of(parse_url(storage_url(storage)))
    if file is not None and not file.exists():
        raise OptdetError(
            "no submission there yet",
            where=str(file),
            fix="write one: optdet predict SOURCE --images DIR --out FILE.csv",
        )
    return open_database(storage, root)


def register(database: Database, written: WrittenPredictions, about: About) -> SubmissionRecord:
    """Keep what is known of a file that was just written."""
    now, places = time.time(), database.places
    record = SubmissionRecord(
        sha256=written.sha256,
        paths=(stored_path(places, written.path),),
        command=about.command,
        created=now,
        written=now,
        n_images=written.summary.n_images,
        n_polygons=written.summary.n_polygons,
        n_bytes=written.summary.n_bytes,
        image_set=image_set(written.names),
        sources=tuple(_as_stored(source, places) for source in about.sources),
        settings=about.settings,
        origin=about.origin if about.origin != written.sha256 else None,
        local=about.local,
    )
    saved = save_submission(database.storage, record)
    if len(record.sources) > 1:
        write_links(database.storage)  # the notes of an ensemble's members name it
    return saved


def try_to_register(
    storage: str | None, root: str | None, written: WrittenPredictions, about: About
) -> str | None:
    """The same in the database that a command names; the reason, where it cannot be written."""
    try:
        database = open_database(storage, root, create=True)
        try:
            register(database, written, about)
        finally:
            close_storage(database.storage)
    except OptdetError as error:
        return f"{written.path} is not in the registry of submissions: {error}"
    return None


def _as_stored(source: SubmissionSource, places: Places) -> SubmissionSource:
    if source.study_uuid is not None or not Path(source.source).exists():
        return source
    return SubmissionSource(stored_path(places, Path(source.source)))


def image_set(names: Sequence[str]) -> str:
    """What stands for the names of a file's images, in any order."""
    return hashlib.sha256("\n".join(sorted(map(nfc, names))).encode()).hexdigest()


def adopt_file(database: Database, path: Path) -> SubmissionRecord:
    """Register a file that optdet did not write; OptdetError for one that is no prediction file."""
    found = read_predictions(path)
    content = path.read_bytes()
    written = WrittenPredictions(
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        names=tuple(found),
        summary=summarize_predictions(found, n_bytes=len(content)),
    )
    return register(database, written, About("adopt"))


def find_submission(database: Database, named: str) -> SubmissionRecord:
    """By a file's bytes, else by the beginning of a SHA-256, by a path or by a file's name.

    OptdetError where none is known, or several could be meant.
    """
    path = Path(named)
    if path.is_file():
        known = submission_of(database.storage, file_sha256(path))
        if known is not None:
            return _where_it_is(database, known, path)
    known_files = list_submissions(database.storage)
    stored = stored_path(database.places, path)
    matches = [
        [record for record in known_files if len(named) >= _MIN_DIGITS and record.sha256.startswith(named)],
        [record for record in known_files if record.path == stored],
        [record for record in known_files if stored in record.paths],
        [record for record in known_files if named in _names(record)],
    ]
    found = next((each for each in matches if each), [])
    if path.is_file() and not matches[0]:
        raise _unknown(path, matches[1] or matches[2])
    if not found:
        raise OptdetError(
            "no such file, and the registry knows no submission of this name", where=named, fix=_LIST
        )
    if len(found) > 1:
        places = ", ".join(f"{record.sha256[:12]} ({record.path})" for record in found[:4])
        raise OptdetError(
            f"{len(found)} submissions could be meant: {places}",
            where=named,
            fix="give the beginning of a SHA-256",
        )
    return found[0]


_LIST = "see `optdet submission list`"


def _where_it_is(database: Database, known: SubmissionRecord, path: Path) -> SubmissionRecord:
    """The record, with this as its latest place."""
    stored = stored_path(database.places, path)
    if stored == known.path:
        return known
    move_submission(database.storage, known.sha256, stored)
    return submission_of(database.storage, known.sha256) or known


def _unknown(path: Path, overwritten: Sequence[SubmissionRecord]) -> OptdetError:
    if overwritten:
        digest = overwritten[-1].sha256[:12]
        return OptdetError(
            "the file has changed since it was written",
            where=str(path),
            fix=f"for what stood there give {digest}; for what stands there now add --adopt",
        )
    return OptdetError(
        "the registry does not know this file", where=str(path), fix="--adopt registers it as it is"
    )


def _names(record: SubmissionRecord) -> set[str]:
    """By which a file may be called: those of its places, with their ending and without."""
    names = {path.rpartition("/")[2] for path in record.paths}
    return names | {Path(name).stem for name in names}


def find_or_adopt(database: Database, named: str, *, adopt: bool) -> SubmissionRecord:
    """As :func:`find_submission`; a file that is not known is registered, where that is asked for."""
    path = Path(named)
    if adopt and path.is_file() and submission_of(database.storage, file_sha256(path)) is None:
        return adopt_file(database, path)
    return find_submission(database, named)


def record_score(
    database: Database, record: SubmissionRecord, score: BoardScore, board: str = "public"
) -> Recorded:
    """Keep what a leaderboard said of a file, as of now, and its bytes if they are there; OptdetError as
    :func:`require_score`."""
    known_board = require_score(score, board)
    content = content_of(database, record)
    stamped = replace(score, recorded=time.time())
    before = record_board_score(database.storage, record.sha256, known_board, stamped, content=content)
    return Recorded(record, stamped, before, content is not None)


def require_score(score: BoardScore, board: str) -> Board:
    """The board; OptdetError for an unknown one, and for scores outside of 0..1."""
    known_board = _board(board)
    for name in ("hmean", "precision", "recall"):
        value = getattr(score, name)
        if value is not None and not 0 <= value <= 1:
            example = f"{value / 100:.4f} for {value:g} %" if 1 < value <= 100 else "a part of 1, as 0.9600"
            raise OptdetError(f"{value:g} is not within 0..1", where=f"--{name}", fix=f"write {example}")
    return known_board


def _board(name: str) -> Board:
    for board in BOARDS:
        if name == board:
            return board
    raise OptdetError(f"{name!r} is no leaderboard", where="--board", fix=f"they are {' and '.join(BOARDS)}")


def board_score(database: Database, sha256: str, board: str = "public") -> BoardScore | None:
    """What a leaderboard said of a file; None where nothing was recorded."""
    return list_board_scores(database.storage).get(sha256, {}).get(_board(board))


def best_recorded(
    database: Database, sources: Sequence[SubmissionSource], board: str = "public"
) -> SubmissionRecord | None:
    """Of the submissions of exactly these sources the one that a leaderboard scored highest, the newest of
    equals; None where it scored none."""
    wanted = [_as_stored(source, database.places) for source in sources]
    said = list_board_scores(database.storage)
    scored = [
        (score.hmean, record.written, record)
        for record in list_submissions(database.storage)
        if list(record.sources) == wanted and (score := said.get(record.sha256, {}).get(_board(board)))
    ]
    return max(scored, key=lambda each: each[:2])[2] if scored else None


def reissue(database: Database, record: SubmissionRecord, to: Path, *, force: bool = False) -> bool:
    """Write a submission's file again, byte for byte; False where it stands there already.

    OptdetError where its bytes are lost, and for another file in its place unless ``force``.
    """
    content = content_of(database, record)
    if content is None:
        raise OptdetError(
            f"the bytes of {record.name} are lost: they are kept of recorded submissions alone",
            where=record.path,
            fix=_again(record),
        )
    if to.is_file():
        if file_sha256(to) == record.sha256:
            return False
        if not force:
            raise OptdetError("another file is there", where=str(to), fix="give another name, or --force")
    to.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(to, content)
    move_submission(database.storage, record.sha256, stored_path(database.places, to))
    return True


def _again(record: SubmissionRecord) -> str:
    if record.command != "predict" or not record.sources:
        return "make it again"
    return f"predict again: optdet predict {record.sources[0].source}"
