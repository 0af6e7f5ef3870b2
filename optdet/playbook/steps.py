"""The steps of a playbook as it is gone through: read from the database, checked against its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optuna.storages import RDBStorage

from optdet.config_io import dotted
from optdet.errors import OptdetError
from optdet.playbook.context import REFERENCE, START, Taken
from optdet.playbook.definition import PlaybookConfig
from optdet.playbook.gates import Decision, Visit
from optdet.playbook.result import StageResult
from optdet.store.playbook_steps import StepRow, steps_of

_OF_GATES = ("next", "gate", "at_most", "expected", "title")
"""Settings of a stage that do not change its work: they may be changed between two runs."""


@dataclass(frozen=True, slots=True)
class Step:
    """A stage that was entered; None for what is not known yet. ``seconds`` is from its start to its end,
    with the pauses between a kill and the next run."""

    number: int
    stage: str
    started: float
    seconds: float | None
    result: StageResult | None
    decision: Decision | None


def read_steps(storage: RDBStorage, playbook: PlaybookConfig) -> list[Step]:
    """OptdetError where a stage that was begun is another in the file now."""
    steps, changes = look_at_steps(storage, playbook)
    if changes:
        raise changes[0]
    return steps


def look_at_steps(storage: RDBStorage, playbook: PlaybookConfig) -> tuple[list[Step], list[OptdetError]]:
    """The steps, and for each whose work is another in the file now what :func:`read_steps` raises.

    OptdetError where a stage is not in the file any more, of which nothing could be shown.
    """
    rows = steps_of(storage, playbook.name)
    steps = [
        Step(
            number=row.number,
            stage=row.stage,
            started=row.started,
            seconds=None if row.ended is None else row.ended - row.started,
            result=None if row.result is None else StageResult.from_json(row.result),
            decision=None if row.decision is None else Decision.from_json(row.decision),
        )
        for row in rows
    ]
    changes = (_change(row, playbook) for row in rows)
    return steps, [change for change in changes if change is not None]


def work_of(playbook: PlaybookConfig, stage: str) -> dict[str, Any]:
    """The part of the file that a stage's result depends on, beside the steps before it."""
    whole = playbook.as_dict()
    if stage in (START, REFERENCE):
        own = {key: value for key, value in (whole[stage] or {}).items() if key != "expected"}
    else:
        own = {key: value for key, value in whole["stages"][stage].items() if key not in _OF_GATES}
    # What gates read belongs to every step: decisions by one score and by another would be a mix.
    return {**own, **{name: whole[name] for name in ("images", "labels", "test_images", "wait", "board")}}


def taken(steps: Sequence[Step]) -> tuple[Taken, ...]:
    return tuple(Taken(step.stage, step.result) for step in steps if step.result is not None)


def visits(steps: Sequence[Step]) -> list[Visit]:
    """The stages of the file that were entered, without the start."""
    return [Visit(step.stage, step.decision) for step in steps if step.stage not in (START, REFERENCE)]


def _change(row: StepRow, playbook: PlaybookConfig) -> OptdetError | None:
    """What a stage's work was and is now, where that differs."""
    fix = f"undo that, give another name=, or: optdet playbook forget FILE --since {row.number}"
    where = f"playbook {playbook.name}, step {row.number}"
    if row.stage not in (*playbook.stages, START, REFERENCE):
        raise OptdetError(
            f"the stage {row.stage} was run, and is not in the file any more", where=where, fix=fix
        )
    then, now = dotted(row.work), dotted(work_of(playbook, row.stage))
    for name in sorted({*then, *now}):
        if then.get(name) != now.get(name):
            return OptdetError(
                f"{row.stage} was run with {name} {then.get(name)}, the file now has {now.get(name)}",
                where=where,
                fix=fix,
            )
    return None
