"""The checklist of a playbook: which of its lines are true by now, and by what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from optdet.phrases import counted
from optdet.playbook.definition import ChecklistLine, PlaybookConfig
from optdet.playbook.result import StageResult, WrittenFile
from optdet.playbook.score import Reader
from optdet.playbook.steps import Step


@dataclass(frozen=True, slots=True)
class Ticked:
    """A line, whether it is true, and what stands behind that, in words."""

    text: str
    done: bool
    why: str


def ticked(
    playbook: PlaybookConfig,
    steps: Sequence[Step],
    reader: Reader,
    is_recorded: Callable[[WrittenFile], bool],
) -> list[Ticked]:
    """Each line of the checklist, in order."""
    return [_tick(line, playbook, steps, reader, is_recorded) for line in playbook.checklist]


def _tick(
    line: ChecklistLine,
    playbook: PlaybookConfig,
    steps: Sequence[Step],
    reader: Reader,
    is_recorded: Callable[[WrittenFile], bool],
) -> Ticked:
    results = [step.result for step in steps if step.stage in line.stages and step.result is not None]
    if not results:
        return Ticked(line.text, done=False, why="")
    found = [_score(line, results, reader), *_made(line, playbook, results, is_recorded)]
    return Ticked(line.text, all(done for done, _ in found), ", ".join(why for _, why in found if why))


def _score(line: ChecklistLine, results: Sequence[StageResult], reader: Reader) -> tuple[bool, str]:
    scores = [reading.hmean for result in results if (reading := reader.read(result)) is not None]
    if not scores:
        return line.at_least is None, "no score yet"
    return line.at_least is None or max(scores) >= line.at_least, f"{max(scores):.4f}"


def _made(
    line: ChecklistLine,
    playbook: PlaybookConfig,
    results: Sequence[StageResult],
    is_recorded: Callable[[WrittenFile], bool],
) -> list[tuple[bool, str]]:
    """The conditions on what was written and trained."""
    found = []
    if line.files is not None:
        written = {file.path: file for result in results for file in result.files}
        recorded = sum(map(is_recorded, written.values()))
        enough = recorded if playbook.wait == "leaderboard" else len(written)
        found.append((enough >= line.files, f"{len(written)} written, {recorded} recorded"))
    if line.config:
        configs = [result.config for result in results if result.config is not None]
        there = [config for config in configs if Path(config).is_file()]
        found.append((bool(there), there[-1] if there else "not there"))
    if line.members is not None:
        most = max(result.n_members for result in results)
        found.append((most >= line.members, counted(most, "detector")))
    return found
