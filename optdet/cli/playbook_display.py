"""How a playbook is shown: its path, its steps, its checklist."""

from __future__ import annotations

import textwrap
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import typer

from optdet.cli.live import shown_progress, watch
from optdet.cli.progress import image_bar
from optdet.cli.text_table import TextTable, print_table
from optdet.phrases import duration
from optdet.playbook.runner import decision_in_words, summary
from optdet.playbook.status import Status

if TYPE_CHECKING:
    from optdet.playbook.definition import Expected
    from optdet.structures import OnImage
    from optdet.tuning.progress import Progress
    from optdet.tuning.study import OpenStudy

_WIDTH = 100


class CommandDisplay:
    """Lines and bars on stderr."""

    def say(self, line: str) -> None:
        typer.echo(line, err=True)

    def progress(self, study: OpenStudy) -> AbstractContextManager[Progress]:
        return shown_progress(watch(study, study.config.trials))

    def bar(self, what: str) -> AbstractContextManager[OnImage]:
        return image_bar(what)


def path_table(shown: Status) -> None:
    """The way so far, then the expected one, with every gate."""
    _notes(shown)
    playbook = shown.playbook
    typer.echo(f"{playbook.name}: target {playbook.target:g}; gates read {shown.reader.name}")
    if shown.steps:
        typer.echo("so far: " + " -> ".join(step.stage for step in shown.steps))
    if shown.ahead:
        typer.echo(f"expected: {_ahead(shown)}")
    on_path = {visit.stage: visit for visit in shown.ahead}
    for name, stage in playbook.stages.items():
        mark = "*" if name in on_path else " "
        limit = f", at most {stage.at_most}" if stage.at_most else ""
        typer.echo(f"{mark} {name}: {stage.title or stage.do}{limit}{_expected(stage.expected)}")
        for branch in stage.gate:
            way = branch.go or f"one of {' and '.join(branch.choose)} (default {branch.choose[0]})"
            typer.echo(f"      {branch.interval}: {way}{f', else {branch.then}' if branch.then else ''}")
        if not stage.gate:
            typer.echo(f"      then {stage.next}" if stage.next else "      the end")


def status_table(shown: Status) -> None:
    """Steps with scores, times and reasons; the checklist; what comes next."""
    _notes(shown)
    playbook = shown.playbook
    typer.echo(f"{playbook.name}: target {playbook.target:g}; gates read {shown.reader.name}")
    if not shown.steps:
        typer.echo("not begun")
    else:
        _steps_table(shown)
    for line in shown.checklist:
        typer.echo(f"[{'x' if line.done else ' '}] {line.text}{f': {line.why}' if line.why else ''}")
    if shown.ahead:
        typer.echo(f"next: {_ahead(shown)}")


def _notes(shown: Status) -> None:
    for note in shown.notes:
        typer.echo(f"note: {note}", err=True)


def _steps_table(shown: Status) -> None:
    table = TextTable(("step", "stage", "score", "expected", "H-mean", "precision", "recall", "took", "of"))
    for step in shown.steps:
        result, expected = step.result, shown.expected(step.stage)
        scores = ("", "", "") if result is None else (result.hmean, result.precision, result.recall)
        score = shown.score(step)
        table.add_row(
            str(step.number),
            step.stage,
            shown.state(step) if score is None else f"{score:.4f}",
            "" if expected.hmean is None else f"{expected.hmean:.4f}",
            *(value if isinstance(value, str) else f"{value:.4f}" for value in scores),
            "" if step.seconds is None else duration(step.seconds),
            expected.time or "",
        )
    print_table(table)
    for step in shown.steps:
        lines = [] if step.result is None else [*summary(step.result), *shown.likelihoods(step)]
        lines += [] if step.decision is None else [decision_in_words(step.decision)]
        for line in lines:
            for part in textwrap.wrap(line, _WIDTH, subsequent_indent="  ") or [""]:
                typer.echo(f"  {step.number} {part}")


def _expected(expected: Expected) -> str:
    parts = [] if expected.time is None else [expected.time]
    parts += [] if expected.hmean is None else [f"H-mean {expected.hmean:.4f}"]
    return f" (expected: {', '.join(parts)})" if parts else ""


def _ahead(shown: Status) -> str:
    depends = [] if shown.ahead[-1].decision is not None else ["as its gate then says"]
    return " -> ".join([*(visit.stage for visit in shown.ahead), *depends])
