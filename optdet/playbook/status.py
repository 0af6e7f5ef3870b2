"""Where a playbook is: its steps with scores, times and reasons, its checklist, and what comes next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from optdet.playbook.checklist import Ticked, ticked
from optdet.playbook.context import REFERENCE, START
from optdet.playbook.definition import Expected, PlaybookConfig
from optdet.playbook.gates import Visit, expected_path
from optdet.playbook.result import WrittenFile
from optdet.playbook.runner import likelihoods
from optdet.playbook.score import LOCAL, Reader
from optdet.playbook.steps import Step, visits


@dataclass(frozen=True, slots=True)
class Status:
    """A playbook as people look at it."""

    playbook: PlaybookConfig
    steps: tuple[Step, ...]
    checklist: tuple[Ticked, ...]
    ahead: tuple[Visit, ...]
    """The stages that follow if each reaches what it expects."""
    reader: Reader
    notes: tuple[str, ...] = ()
    """What would be refused when it is run."""
    is_running: bool = False
    """Whether a process is at work on it."""

    def state(self, step: Step) -> str:
        """Of a step without a score: why it has none."""
        if step.result is None:
            return "at work" if self.is_running else "cut off"
        return "waiting" if step.decision is None else "not asked"

    def score(self, step: Step) -> float | None:
        """What gates read of a step."""
        reading = None if step.result is None else self.reader.read(step.result)
        return None if reading is None else reading.hmean

    def expected(self, stage: str) -> Expected:
        """What the playbook expects of a stage, or of the start and the reference."""
        if stage == START:
            return self.playbook.start.expected
        if stage == REFERENCE:
            return Expected() if self.playbook.reference is None else self.playbook.reference.expected
        return self.playbook.stages[stage].expected

    def likelihoods(self, step: Step) -> list[str]:
        if self.reader is not LOCAL or step.result is None or step.stage in (START, REFERENCE):
            return []
        return (
            likelihoods(self.playbook, step.stage, step.result)
            if self.playbook.stages[step.stage].gate
            else []
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "playbook": self.playbook.name,
            "target": self.playbook.target,
            "reads": self.reader.name,
            "steps": [self._step_json(step) for step in self.steps],
            "checklist": [asdict(line) for line in self.checklist],
            "ahead": [visit.stage for visit in self.ahead],
            "notes": list(self.notes),
            "running": self.is_running,
        }

    def _step_json(self, step: Step) -> dict[str, Any]:
        result = None if step.result is None else step.result.as_json()
        if result is not None:
            result.pop("hmeans")
        return {
            "number": step.number,
            "stage": step.stage,
            "seconds": step.seconds,
            "expected": self.expected(step.stage).model_dump(mode="json"),
            "score": self.score(step),
            "result": result,
            "decision": None if step.decision is None else step.decision.as_json(),
        }


def status_of(
    playbook: PlaybookConfig,
    steps: Sequence[Step],
    reader: Reader,
    is_recorded: Callable[[WrittenFile], bool],
    chosen: Sequence[str] = (),
    *,
    notes: Sequence[str] = (),
    is_running: bool = False,
) -> Status:
    return Status(
        playbook=playbook,
        steps=tuple(steps),
        checklist=tuple(ticked(playbook, steps, reader, is_recorded)),
        ahead=tuple(_ahead(playbook, steps, chosen)),
        reader=reader,
        notes=tuple(notes),
        is_running=is_running,
    )


def _ahead(playbook: PlaybookConfig, steps: Sequence[Step], chosen: Sequence[str]) -> list[Visit]:
    """The stages that are not done, as far as the expected scores lead."""
    so_far = visits(steps)
    n_done = sum(visit.decision is not None for visit in so_far)
    if so_far and so_far[-1].decision is not None:
        if so_far[-1].decision.go is None:
            return []
        so_far = [*so_far, Visit(so_far[-1].decision.go, None)]
    return expected_path(playbook, so_far or [Visit(playbook.first_stage, None)], chosen)[n_done:]
