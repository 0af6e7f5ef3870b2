"""Submissions as rows: local scores beside a leaderboard's, their gap, and whether both order files alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from optdet.metrics.rank_correlation import RankCorrelation, rank_correlation
from optdet.store.submissions import (
    BOARDS,
    Board,
    Boards,
    SubmissionRecord,
    kept_files,
    list_board_scores,
    list_submissions,
)
from optdet.tuning.study import Database
from optdet.tuning.submission_places import shown_path, state_of


@dataclass(frozen=True, slots=True)
class SubmissionRow:
    """A submission; ``path`` is where to find it from here. ``state`` of its file is ``there``, ``gone`` or
    ``changed``; ``is_kept``: its bytes can be issued again whatever becomes of the file."""

    record: SubmissionRecord
    path: str
    boards: Boards
    state: str
    is_kept: bool

    @property
    def value(self) -> float | None:
        """What it is ranked by: the cross-fitted H-mean where it is known, else the H-mean."""
        return None if self.record.local is None else self.record.local.value

    @property
    def is_crossfit(self) -> bool:
        return self.record.local is not None and self.record.local.crossfit is not None

    def gap(self, board: Board) -> float | None:
        """What the leaderboard said less the local value."""
        score, value = self.boards.get(board), self.value
        return None if score is None or value is None else score.hmean - value

    def as_json(self) -> dict[str, Any]:
        record = self.record
        return {
            "file": record.name,
            "sha256": record.sha256,
            "path": self.path,
            "state": self.state,
            "kept": self.is_kept,
            "command": record.command,
            "created": record.created,
            "written": record.written,
            "images": record.n_images,
            "polygons": record.n_polygons,
            "bytes": record.n_bytes,
            "sources": [source.source for source in record.sources],
            "settings": dict(record.settings),
            "origin": record.origin,
            "local": _local_json(record),
            "boards": {board: asdict(score) for board, score in self.boards.items()},
            "gap": {board: self.gap(board) for board in BOARDS},
        }


@dataclass(frozen=True, slots=True)
class SubmissionList:
    """All submissions, the oldest first."""

    rows: tuple[SubmissionRow, ...]

    def correlation(self, board: Board) -> RankCorrelation:
        """Of local values with a leaderboard's, over the files that have both and are :meth:`comparable`."""
        rows = self.comparable(board)
        local = [row.value for row in rows if row.value is not None]  # each has one
        return rank_correlation(local, [row.boards[board].hmean for row in rows])

    def comparable(self, board: Board) -> list[SubmissionRow]:
        """Files with a local value and a leaderboard's, of which there are most that can be set beside one
        another: all cross-fitted or none, and scored on the same labelled images."""
        alike: dict[tuple[bool, frozenset[int]], list[SubmissionRow]] = {}
        for row in self._with_both(board):
            images = frozenset() if row.record.local is None else frozenset(row.record.local.hmeans)
            alike.setdefault((row.is_crossfit, images), []).append(row)
        return max(alike.values(), key=lambda rows: (len(rows), rows[0].is_crossfit), default=[])

    def n_left_out(self, board: Board) -> int:
        """Files with both scores that are not among the comparable ones."""
        return len(self._with_both(board)) - len(self.comparable(board))

    def _with_both(self, board: Board) -> list[SubmissionRow]:
        return [row for row in self.rows if row.value is not None and board in row.boards]

    def as_json(self) -> dict[str, Any]:
        return {
            "submissions": [row.as_json() for row in self.rows],
            "correlation": {
                board: {**self.correlation(board).as_json(), "left_out": self.n_left_out(board)}
                for board in BOARDS
            },
        }


def submission_rows(database: Database) -> SubmissionList:
    """Every file is read: those that were moved or changed are told by their bytes."""
    boards, kept = list_board_scores(database.storage), kept_files(database.storage)
    return SubmissionList(
        tuple(
            SubmissionRow(
                record=record,
                path=shown_path(database, record),
                boards=boards.get(record.sha256, {}),
                state=state_of(database, record),
                is_kept=record.sha256 in kept,
            )
            for record in list_submissions(database.storage)
        )
    )


def _local_json(record: SubmissionRecord) -> dict[str, Any] | None:
    local = record.local
    if local is None:
        return None
    return {"hmean_crossfit": local.crossfit, "images": len(local.hmeans) or None, **local.scores}


def of_images(rows: Sequence[SubmissionRow], image_set: str) -> list[SubmissionRow]:
    return [row for row in rows if row.record.image_set == image_set]
