"""The steps that a playbook took: each stage that was entered, what came of it, what was decided.

Keyed by the playbook's name and the step's number, from 0. ``result`` and ``decision`` are plain JSON; None
while the stage is at work, and ``decision`` alone while a leaderboard is waited for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.storages import RDBStorage
from sqlalchemy import and_, delete, insert, select, update

from optdet.store.engine import read_transaction, write_transaction
from optdet.store.tables import PLAYBOOK_STEPS

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step; times in seconds since the epoch. ``work`` is the stage's definition as it was run."""

    number: int
    stage: str
    work: Json
    started: float
    ended: float | None
    result: Json | None
    decision: Json | None


def steps_of(storage: RDBStorage, playbook: str) -> list[StepRow]:
    """In the order in which they were taken."""
    columns = PLAYBOOK_STEPS.c
    rows = select(PLAYBOOK_STEPS).where(columns.playbook == playbook).order_by(columns.number)
    with read_transaction(storage.engine) as connection:
        return [
            StepRow(
                number=row.number,
                stage=row.stage,
                work=json.loads(row.work),
                started=row.started,
                ended=row.ended,
                result=None if row.result is None else json.loads(row.result),
                decision=None if row.decision is None else json.loads(row.decision),
            )
            for row in connection.execute(rows)
        ]


def begin_step(storage: RDBStorage, playbook: str, number: int, stage: str, work: Mapping[str, Any]) -> None:
    """Enter a stage. One that is there already is left: a killed run begins it again."""
    with write_transaction(storage.engine, _lock(playbook)) as connection:
        there = connection.scalar(select(PLAYBOOK_STEPS.c.number).where(_is(playbook, number)))
        if there is None:
            row = {"playbook": playbook, "number": number, "stage": stage, "work": json.dumps(dict(work))}
            connection.execute(insert(PLAYBOOK_STEPS).values(**row, started=time.time()))


def end_step(
    storage: RDBStorage,
    playbook: str,
    number: int,
    *,
    result: Mapping[str, Any],
    decision: Mapping[str, Any] | None,
) -> None:
    """Keep what came of a step, and in the same transaction where it leads, if that is known."""
    values = {
        "result": json.dumps(dict(result)),
        "decision": None if decision is None else json.dumps(dict(decision)),
        "ended": time.time(),
    }
    with write_transaction(storage.engine, _lock(playbook)) as connection:
        connection.execute(update(PLAYBOOK_STEPS).where(_is(playbook, number)).values(**values))


def decide_step(storage: RDBStorage, playbook: str, number: int, decision: Mapping[str, Any]) -> None:
    """Where a step leads whose result was there before: what the leaderboard said came later."""
    with write_transaction(storage.engine, _lock(playbook)) as connection:
        of_step = update(PLAYBOOK_STEPS).where(_is(playbook, number))
        connection.execute(of_step.values(decision=json.dumps(dict(decision))))


def forget_steps(storage: RDBStorage, playbook: str, *, since: int = 0) -> int:
    """Remove the steps from a number on; how many there were. What they made stays."""
    columns = PLAYBOOK_STEPS.c
    with write_transaction(storage.engine, _lock(playbook)) as connection:
        removed = connection.execute(
            delete(PLAYBOOK_STEPS).where(and_(columns.playbook == playbook, columns.number >= since))
        )
        return int(removed.rowcount)


def _is(playbook: str, number: int) -> Any:
    return and_(PLAYBOOK_STEPS.c.playbook == playbook, PLAYBOOK_STEPS.c.number == number)


def _lock(playbook: str) -> str:
    return f"optdet:playbook:{playbook}"
