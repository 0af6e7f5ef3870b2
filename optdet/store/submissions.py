"""Submissions: prediction files that were written, by the SHA-256 of their bytes, and what leaderboards said.

A file that is moved or copied is the same submission; the same bytes written again are too. Rows belong to no
study, and stay when a study is deleted. The bytes of a file that was sent to a leaderboard are kept here,
compressed, so that a backup and a server have them too. Times are seconds since the epoch, scores 0..1.
"""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from optuna.storages import RDBStorage
from sqlalchemy import Row, and_, delete, insert, select, update
from sqlalchemy.engine import Connection

from optdet.store.engine import read_transaction, write_transaction
from optdet.store.tables import BOARD_SCORES, SUBMISSION_FILES, SUBMISSIONS
from optdet.structures import SubmissionSource

Board = Literal["public", "private"]
BOARDS: tuple[Board, ...] = get_args(Board)
_MAX_PATHS = 50
_HMEANS = np.dtype([("image", "<u8"), ("hmean", "<f8")])


@dataclass(frozen=True, slots=True)
class LocalScores:
    """What the same source at the same thresholds scores on its labelled images.

    ``scores`` is a scores object. ``crossfit`` is None where the thresholds were not tuned there. ``hmeans``
    are competition H-means by image, each known by a number that stands for its name and its words.
    """

    scores: Mapping[str, Any]
    crossfit: float | None = None
    hmeans: Mapping[int, float] = field(default_factory=dict)

    @property
    def macro(self) -> Mapping[str, float]:
        """Competition ``precision``, ``recall``, ``hmean``."""
        found: Mapping[str, float] = self.scores["competition"]["macro"]
        return found

    @property
    def value(self) -> float:
        """What submissions are ranked by: the cross-fitted H-mean, or the H-mean where there is none."""
        return self.macro["hmean"] if self.crossfit is None else self.crossfit


@dataclass(frozen=True, slots=True)
class SubmissionRecord:
    """A file that was written. ``paths`` are the places where it was, as they are stored, the latest first.

    ``command`` is what wrote it, ``origin`` the SHA-256 of the file that it was made from. ``image_set``
    stands for the names of its images: equal for files of the same images. ``settings`` has the
    ``thresholds``, and whatever else the command would need again.
    """

    sha256: str
    paths: tuple[str, ...]
    command: str
    created: float
    written: float
    n_images: int
    n_polygons: int
    n_bytes: int
    image_set: str
    sources: tuple[SubmissionSource, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    origin: str | None = None
    local: LocalScores | None = None

    @property
    def path(self) -> str:
        """Where it was last."""
        return self.paths[0]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class WrittenFrom:
    """The name of a prediction file and what detected."""

    name: str
    sources: tuple[SubmissionSource, ...]


@dataclass(frozen=True, slots=True)
class BoardScore:
    """What a leaderboard said. Its H-mean is a mean over images, and need not equal 2PR/(P+R)."""

    hmean: float
    precision: float | None = None
    recall: float | None = None
    note: str | None = None
    recorded: float = 0.0


Boards = Mapping[Board, BoardScore]


def save_submission(storage: RDBStorage, record: SubmissionRecord) -> SubmissionRecord:
    """Remember a file, or that it was written once more; as it is stored then.

    What is known of the same bytes stays where the new record knows less: their first time, their other
    places, and the source whose scores say more. Once a leaderboard has scored them their first place stays
    the first, by which they are called.
    """
    with _transaction(storage, record.sha256) as connection:
        known = _submission(connection, record.sha256)
        saved = record if known is None else _merged(known, record)
        if known is not None and _is_scored(connection, record.sha256):
            saved = replace(saved, paths=tuple(dict.fromkeys((*known.paths[:1], *saved.paths)))[:_MAX_PATHS])
        connection.execute(delete(SUBMISSIONS).where(SUBMISSIONS.c.sha256 == record.sha256))
        connection.execute(insert(SUBMISSIONS).values(_as_row(saved)))
    return saved


def _is_scored(connection: Connection, sha256: str) -> bool:
    found = select(BOARD_SCORES.c.sha256).where(BOARD_SCORES.c.sha256 == sha256).limit(1)
    return connection.execute(found).first() is not None


def _merged(known: SubmissionRecord, new: SubmissionRecord) -> SubmissionRecord:
    kept = known if _knowledge(known) > _knowledge(new) else new
    return replace(
        kept,
        paths=_with_path(known, new.path),
        written=new.written,
        created=min(known.created, new.created),
    )


def _with_path(known: SubmissionRecord, path: str) -> tuple[str, ...]:
    return (path, *(other for other in known.paths if other != path))[:_MAX_PATHS]


def _knowledge(record: SubmissionRecord) -> tuple[bool, int, bool, bool]:
    """More is better: scores, on how many images one by one, cross-fitted, of a known source."""
    local = record.local
    n_images = 0 if local is None else len(local.hmeans)
    is_crossfit = local is not None and local.crossfit is not None
    return local is not None, n_images, is_crossfit, bool(record.sources)


def move_submission(storage: RDBStorage, sha256: str, path: str) -> None:
    """The file was found elsewhere."""
    with _transaction(storage, sha256) as connection:
        known = _submission(connection, sha256)
        if known is not None:
            paths = json.dumps(_with_path(known, path))
            connection.execute(update(SUBMISSIONS).where(SUBMISSIONS.c.sha256 == sha256).values(paths=paths))


def set_sources(storage: RDBStorage, sha256: str, sources: Sequence[SubmissionSource]) -> None:
    """Say anew what detected."""
    with _transaction(storage, sha256) as connection:
        connection.execute(
            update(SUBMISSIONS).where(SUBMISSIONS.c.sha256 == sha256).values(sources=_sources_json(sources))
        )


def submission_of(storage: RDBStorage, sha256: str) -> SubmissionRecord | None:
    with read_transaction(storage.engine) as connection:
        return _submission(connection, sha256)


def list_submissions(storage: RDBStorage) -> list[SubmissionRecord]:
    """All of them, in the order in which they were first written."""
    query = select(SUBMISSIONS).order_by(SUBMISSIONS.c.created, SUBMISSIONS.c.sha256)
    with read_transaction(storage.engine) as connection:
        return [_as_record(row) for row in connection.execute(query)]


def list_written(storage: RDBStorage) -> list[WrittenFrom]:
    """Of all submissions what they were made of, without their scores, which take long to read."""
    query = select(SUBMISSIONS.c.paths, SUBMISSIONS.c.sources).order_by(
        SUBMISSIONS.c.created, SUBMISSIONS.c.sha256
    )
    with read_transaction(storage.engine) as connection:
        rows = connection.execute(query).all()
    return [
        WrittenFrom(json.loads(paths)[0].rpartition("/")[2], _sources(sources)) for paths, sources in rows
    ]


def record_board_score(
    storage: RDBStorage, sha256: str, board: Board, score: BoardScore, *, content: bytes | None = None
) -> BoardScore | None:
    """Keep what a leaderboard said, in place of what it said before, which is returned; ``content`` are the
    file's bytes, kept with it."""
    of_board = and_(BOARD_SCORES.c.sha256 == sha256, BOARD_SCORES.c.board == board)
    with _transaction(storage, sha256) as connection:
        row = connection.execute(select(BOARD_SCORES).where(of_board)).one_or_none()
        connection.execute(delete(BOARD_SCORES).where(of_board))
        connection.execute(
            insert(BOARD_SCORES).values({**_score_row(score), "sha256": sha256, "board": board})
        )
        if content is not None:
            _keep(connection, sha256, content)
    return None if row is None else _as_score(row)


def list_board_scores(storage: RDBStorage) -> dict[str, Boards]:
    """By the SHA-256 of the file, then by board."""
    found: dict[str, dict[Board, BoardScore]] = defaultdict(dict)
    with read_transaction(storage.engine) as connection:
        for row in connection.execute(select(BOARD_SCORES)):
            found[row.sha256][row.board] = _as_score(row)
    return dict(found)


def kept_content(storage: RDBStorage, sha256: str) -> bytes | None:
    """The bytes of a file that a score was recorded for; None where they are not kept."""
    query = select(SUBMISSION_FILES.c.content).where(SUBMISSION_FILES.c.sha256 == sha256)
    with read_transaction(storage.engine) as connection:
        content = connection.scalar(query)
    return None if content is None else zlib.decompress(content)


def kept_files(storage: RDBStorage) -> set[str]:
    """The SHA-256s of the files whose bytes are kept."""
    with read_transaction(storage.engine) as connection:
        return set(connection.scalars(select(SUBMISSION_FILES.c.sha256)))


def _keep(connection: Connection, sha256: str, content: bytes) -> None:
    known = select(SUBMISSION_FILES.c.sha256).where(SUBMISSION_FILES.c.sha256 == sha256)
    if connection.execute(known).first() is None:
        compressed = zlib.compress(content, 6)
        connection.execute(insert(SUBMISSION_FILES).values(sha256=sha256, content=compressed))


def _transaction(storage: RDBStorage, sha256: str) -> Any:
    return write_transaction(storage.engine, f"optdet:submission:{sha256}")


def _submission(connection: Connection, sha256: str) -> SubmissionRecord | None:
    row = connection.execute(select(SUBMISSIONS).where(SUBMISSIONS.c.sha256 == sha256)).one_or_none()
    return None if row is None else _as_record(row)


def _as_row(record: SubmissionRecord) -> dict[str, Any]:
    local = record.local
    plain = ("sha256", "command", "created", "written", "n_images", "n_polygons", "n_bytes")
    return {
        **{name: getattr(record, name) for name in (*plain, "image_set", "origin")},
        "paths": json.dumps(record.paths),
        "sources": _sources_json(record.sources),
        "settings": json.dumps(dict(record.settings)),
        "local": None
        if local is None
        else json.dumps({"scores": local.scores, "hmean_crossfit": local.crossfit}),
        "local_hmeans": None if local is None else _packed(local.hmeans),
    }


def _as_record(row: Row[Any]) -> SubmissionRecord:
    values = row._asdict()
    local, hmeans = values.pop("local"), values.pop("local_hmeans")
    if local is not None:
        stored = json.loads(local)
        values["local"] = LocalScores(stored["scores"], stored["hmean_crossfit"], _unpacked(hmeans or b""))
    values["paths"] = tuple(json.loads(values["paths"]))
    values["sources"] = _sources(values["sources"])
    values["settings"] = json.loads(values["settings"])
    return SubmissionRecord(**values)


def _sources_json(sources: Sequence[SubmissionSource]) -> str:
    return json.dumps([[each.source, each.study_uuid] for each in sources])


def _sources(stored: str) -> tuple[SubmissionSource, ...]:
    return tuple(SubmissionSource(*each) for each in json.loads(stored))


def _packed(hmeans: Mapping[int, float]) -> bytes:
    return np.array(sorted(hmeans.items()), dtype=_HMEANS).tobytes()


def _unpacked(content: bytes) -> dict[int, float]:
    return dict(np.frombuffer(content, dtype=_HMEANS).tolist())


def _score_row(score: BoardScore) -> dict[str, Any]:
    return {name: getattr(score, name) for name in BoardScore.__dataclass_fields__}


def _as_score(row: Row[Any]) -> BoardScore:
    return BoardScore(**{name: getattr(row, name) for name in BoardScore.__dataclass_fields__})
