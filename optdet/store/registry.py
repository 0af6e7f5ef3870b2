"""What belongs to a trial but not into Optuna's tables: its checkpoints, and the results of threshold tuning.

Keyed by the study's UUID and the trial's number. Paths are stored as ``Places.relative`` gives them;
``created`` is in seconds since the epoch; scores are macro means, 0..1.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

from optuna.storages import RDBStorage
from sqlalchemy import ColumnElement, Row, Table, and_, delete, insert, select
from sqlalchemy.engine import Connection

from optdet.metrics.scores import PRH
from optdet.store.engine import read_transaction, write_transaction
from optdet.store.tables import CHECKPOINTS, INNER_TRIALS, SLOTS
from optdet.structures import Thresholds

CheckpointKind = Literal["last", "best"]


@dataclass(frozen=True, slots=True)
class CheckpointRecord:
    """A checkpoint on disk: ``epoch`` is the last one it has seen."""

    study_uuid: str
    trial_number: int
    kind: CheckpointKind
    path: str
    sha256: str
    epoch: int
    created: float


@dataclass(frozen=True, slots=True)
class InnerTrial:
    """One configuration that threshold tuning tried on a trial's frozen maps."""

    number: int
    thresholds: Thresholds
    scores: PRH


def record_checkpoint(
    storage: RDBStorage,
    study_uuid: str,
    trial_number: int,
    kind: CheckpointKind,
    *,
    path: str,
    sha256: str,
    epoch: int,
) -> CheckpointRecord:
    """Remember a checkpoint, in place of the trial's former one of this kind."""
    record = CheckpointRecord(
        study_uuid=study_uuid,
        trial_number=trial_number,
        kind=kind,
        path=path,
        sha256=sha256,
        epoch=epoch,
        created=time.time(),
    )
    with _transaction(storage, study_uuid) as connection:
        connection.execute(delete(CHECKPOINTS).where(_is_checkpoint(study_uuid, trial_number, kind)))
        connection.execute(insert(CHECKPOINTS).values(asdict(record)))
    return record


def checkpoint_of(
    storage: RDBStorage, study_uuid: str, trial_number: int, kind: CheckpointKind
) -> CheckpointRecord | None:
    """The trial's checkpoint of this kind, or None where none was recorded."""
    query = select(CHECKPOINTS).where(_is_checkpoint(study_uuid, trial_number, kind))
    with read_transaction(storage.engine) as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else CheckpointRecord(**row._asdict())


def save_inner_trials(
    storage: RDBStorage, study_uuid: str, trial_number: int, trials: Iterable[InnerTrial]
) -> None:
    """Keep a trial's inner results in place of those it had: all of them, or the old if this is cut short."""
    rows = [_inner_row(study_uuid, trial_number, trial) for trial in trials]
    with _transaction(storage, study_uuid) as connection:
        connection.execute(delete(INNER_TRIALS).where(_is_trial(INNER_TRIALS, study_uuid, trial_number)))
        if rows:
            connection.execute(insert(INNER_TRIALS), rows)


def load_inner_trials(storage: RDBStorage, study_uuid: str, trial_number: int) -> list[InnerTrial]:
    """A trial's inner results, by inner number."""
    of_trial = _is_trial(INNER_TRIALS, study_uuid, trial_number)
    query = select(INNER_TRIALS).where(of_trial).order_by(INNER_TRIALS.c.inner_number)
    with read_transaction(storage.engine) as connection:
        rows = connection.execute(query).all()
    return [_inner_trial(row) for row in rows]


def forget_study(storage: RDBStorage, study_uuid: str) -> None:
    """Drop every row of a study that is being deleted."""
    with _transaction(storage, study_uuid) as connection:
        for table in (SLOTS, CHECKPOINTS, INNER_TRIALS):
            connection.execute(delete(table).where(table.c.study_uuid == study_uuid))


def stored_studies(storage: RDBStorage) -> set[str]:
    """The UUIDs of all studies that have rows here."""
    with read_transaction(storage.engine) as connection:
        return {
            uuid
            for table in (SLOTS, CHECKPOINTS, INNER_TRIALS)
            for (uuid,) in connection.execute(select(table.c.study_uuid).distinct())
        }


@contextmanager
def _transaction(storage: RDBStorage, study_uuid: str) -> Iterator[Connection]:
    with write_transaction(storage.engine, f"optdet:registry:{study_uuid}") as connection:
        yield connection


def _is_trial(table: Table, study_uuid: str, trial_number: int) -> ColumnElement[bool]:
    return and_(table.c.study_uuid == study_uuid, table.c.trial_number == trial_number)


def _is_checkpoint(study_uuid: str, trial_number: int, kind: str) -> ColumnElement[bool]:
    return and_(_is_trial(CHECKPOINTS, study_uuid, trial_number), CHECKPOINTS.c.kind == kind)


def _inner_row(study_uuid: str, trial_number: int, trial: InnerTrial) -> dict[str, Any]:
    identity = {"study_uuid": study_uuid, "trial_number": trial_number, "inner_number": trial.number}
    return {**identity, **trial.thresholds.as_dict(), **asdict(trial.scores)}


def _inner_trial(row: Row[Any]) -> InnerTrial:
    return InnerTrial(
        number=row.inner_number,
        thresholds=Thresholds.from_dict(row._asdict()),
        scores=PRH(row.precision, row.recall, row.hmean),
    )
