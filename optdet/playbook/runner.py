"""Go through a playbook, from where it is: run a stage, read its score, decide, enter the next.

What a stage gave and where its gate leads are kept before anything else begins. A run that was killed begins
its stage again, whose studies go on where they were: so it ends as one that was never killed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from optdet.errors import OptdetError
from optdet.playbook.combine import run_ensemble
from optdet.playbook.context import REFERENCE, START, Context
from optdet.playbook.definition import Origin, PlaybookConfig
from optdet.playbook.fold_stage import run_folds
from optdet.playbook.gates import Decision, branch_probabilities, decide
from optdet.playbook.graph import asks_for_best, names_reference
from optdet.playbook.preflight import check_ahead
from optdet.playbook.result import StageResult
from optdet.playbook.score import LOCAL
from optdet.playbook.stages import RunStage, run_origin, run_postprocess, run_search, run_train
from optdet.playbook.steps import Step, read_steps, taken, visits, work_of
from optdet.playbook.submit_stage import run_submit
from optdet.store.playbook_steps import begin_step, decide_step, end_step

RUN: Mapping[str, RunStage] = {
    "postprocess": run_postprocess,
    "train": run_train,
    "study": run_search,
    "folds": run_folds,
    "ensemble": run_ensemble,
    "submit": run_submit,
}
"""By ``do``."""
_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Ended:
    """Why a run stopped: at an end, after ``--until``, or for the leaderboard, with the files to submit."""

    reason: Literal["end", "until", "waiting"]
    steps: tuple[Step, ...]
    to_submit: tuple[str, ...] = ()


def run_playbook(context: Context, *, until: str | None = None, chosen: Sequence[str] = ()) -> Ended:
    """From wherever the playbook is to an end, ``until`` a stage is done, or a leaderboard must be asked.

    KeyboardInterrupt leaves everything to be gone on with. OptdetError while another process runs it, and
    before the first step for what is certain to stop a later one.
    """
    folder = context.own_dir()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / _LOCK, timeout=0):
            check_ahead(context)
            return _Run(context, until, chosen).run()
    except Timeout:
        raise OptdetError(
            "another process runs this playbook",
            where=str(folder),
            fix="wait for it, or see `optdet playbook status`",
        ) from None


def is_running(own_dir: Path) -> bool:
    """Whether a process runs the playbook that keeps its files there."""
    path = own_dir / _LOCK
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


@dataclass(slots=True)
class _Run:
    context: Context
    until: str | None
    chosen: Sequence[str]

    def run(self) -> Ended:
        while True:
            steps = self._steps()
            if not steps:
                self._begin(0, START)
                continue
            last = steps[-1]
            if self.until is not None and last.stage != self.until and self._is_done(steps, self.until):
                return Ended("until", tuple(steps))
            if last.result is None:
                self._work(steps)
            elif last.decision is None:
                if not self._read_board(steps):
                    return Ended("waiting", tuple(steps), self._to_submit(last.result))
            elif last.decision.go is None:
                return Ended("end", tuple(steps))
            elif last.stage == self.until:
                return Ended("until", tuple(steps))
            elif self._chooses_anew(last):
                self._read_again(steps, last)
            else:
                self._begin(last.number + 1, self._before(steps, last.decision.go))

    def _chooses_anew(self, last: Step) -> bool:
        """Whether the last step's choice, of which nothing was begun yet, is not the user's any more."""
        made = last.decision
        return made is not None and made.go not in self.chosen and bool({*made.among} & {*self.chosen})

    def _read_again(self, steps: Sequence[Step], last: Step) -> None:
        assert last.result is not None
        visited = [*steps[:-1], replace(last, decision=None)]
        decision = self._decide(visited, last.result)
        assert decision is not None  # it was made once
        storage = self.context.database.storage
        decide_step(storage, self.context.playbook.name, last.number, decision.as_json())
        self.context.display.say(f"step {last.number}: {decision_in_words(decision)}")

    @staticmethod
    def _is_done(steps: Sequence[Step], stage: str) -> bool:
        return any(step.stage == stage and step.decision is not None for step in steps)

    def _steps(self) -> list[Step]:
        return read_steps(self.context.database.storage, self.context.playbook)

    def _before(self, steps: Sequence[Step], stage: str) -> str:
        """The stage, or the reference, which is made and scored before the first stage that names it."""
        named = names_reference(self.context.playbook.stages[stage])
        return REFERENCE if named and all(step.stage != REFERENCE for step in steps) else stage

    def _begin(self, number: int, stage: str) -> None:
        playbook = self.context.playbook
        storage = self.context.database.storage
        begin_step(storage, playbook.name, number, stage, work_of(playbook, stage))

    def _work(self, steps: Sequence[Step]) -> None:
        """Do the last step's stage; keep its result with the decision, or alone while a board is asked."""
        step, playbook = steps[-1], self.context.playbook
        decision: Decision | None
        if step.stage in (START, REFERENCE):
            result, decision = self._origin(steps)
        else:
            stage = playbook.stages[step.stage]
            title = f", {stage.title}" if stage.title else ""
            self.context.display.say(f"step {step.number}: {step.stage}{title}")
            result = RUN[stage.do](replace(self.context, taken=taken(steps)), step.stage)
            decision = self._decide(steps, result)
        end_step(
            self.context.database.storage,
            playbook.name,
            step.number,
            result=result.as_json(),
            decision=None if decision is None else decision.as_json(),
        )
        self._say(step, result, decision)

    def _origin(self, steps: Sequence[Step]) -> tuple[StageResult, Decision]:
        """The start, or the reference, and the stage that it is for."""
        step, playbook = steps[-1], self.context.playbook
        if step.stage == START:
            origin: Origin | None = playbook.start
            decision = Decision(playbook.first_stage, "the first stage")
        else:
            asked_by = steps[-2].decision
            origin = playbook.reference
            decision = Decision(None if asked_by is None else asked_by.go, "the stage that names it")
        assert origin is not None  # the file is checked for it
        self.context.display.say(f"step {step.number}: {step.stage}, {origin.source}")
        context = replace(self.context, taken=taken(steps))
        return run_origin(context, step.stage, origin), decision

    def _decide(self, steps: Sequence[Step], result: StageResult) -> Decision | None:
        """None where a board is read that has not said anything of the result yet: by the stage's gate, or by
        the stage after it, which asks for the best."""
        playbook = self.context.playbook
        stage = playbook.stages[steps[-1].stage]
        reading = self.context.reader.read(result)
        if not stage.gate:
            asks = stage.next is not None and asks_for_best(playbook.stages[stage.next])
            return None if asks and reading is None else decide(playbook, visits(steps), None)
        return None if reading is None else decide(playbook, visits(steps), reading.hmean, self.chosen)

    def _read_board(self, steps: Sequence[Step]) -> bool:
        step = steps[-1]
        assert step.result is not None
        decision = self._decide(steps, step.result)
        if decision is None:
            return False
        storage = self.context.database.storage
        decide_step(storage, self.context.playbook.name, step.number, decision.as_json())
        self._say(step, step.result, decision)
        return True

    def _say(self, step: Step, result: StageResult, decision: Decision | None) -> None:
        say = self.context.display.say
        for line in summary(result):
            say(f"  {line}")
        for line in self._likelihoods(step.stage, result):
            say(f"  {line}")
        if decision is not None:
            say(f"  {decision_in_words(decision)}")

    def _likelihoods(self, name: str, result: StageResult) -> list[str]:
        """How likely each branch is; of a leaderboard's score, which is one number, nothing is known."""
        stage = self.context.playbook.stages.get(name)
        if stage is None or not stage.gate or self.context.reader is not LOCAL:
            return []
        return likelihoods(self.context.playbook, name, result)

    def _to_submit(self, result: StageResult) -> tuple[str, ...]:
        known = self.context.reader
        return tuple(file.path for file in result.files if known.read(replace(result, files=(file,))) is None)


def summary(result: StageResult) -> list[str]:
    """A result in lines: what happened, and its scores."""
    low, high = result.interval
    crossfit = "" if result.hmean_crossfit is None else f", cross-fitted {result.hmean_crossfit:.4f}"
    scores = (
        f"{result.title}: H-mean {result.hmean:.4f} ({low:.4f} to {high:.4f}){crossfit}, precision "
        f"{result.precision:.4f}, recall {result.recall:.4f}"
    )
    return [*result.lines, scores]


def likelihoods(playbook: PlaybookConfig, name: str, result: StageResult) -> list[str]:
    """One line: each branch of the stage's gate with the share of bootstrap draws that lie in it."""
    found = branch_probabilities(playbook.stages[name].gate, result.hmeans, result.local)
    shown = ", ".join(f"{branch.interval} {share:.0%}" for branch, share in found)
    return [f"on other images like these: {shown}"]


def decision_in_words(decision: Decision) -> str:
    return f"-> {decision.go or 'the end'} ({decision.reason})"
