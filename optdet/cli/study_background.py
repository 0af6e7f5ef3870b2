"""``optdet study run --background``, ``log`` and ``stop``: runs that no terminal waits for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from optdet.cli import options
from optdet.cli.again import Given
from optdet.cli.opening import open_study
from optdet.errors import OptdetError
from optdet.phrases import counted, numbers

if TYPE_CHECKING:
    from optdet.tuning.background import BackgroundRun
    from optdet.tuning.study import OpenStudy


def start_in_background(study: OpenStudy, given: Given) -> None:
    """Start a run; back once its trials begin, or with its exit code where it has ended by then."""
    from dataclasses import replace

    from optdet.cli.text_table import print_line
    from optdet.tuning.background import log_in, new_folder
    from optdet.tuning.launching import launch

    folder = new_folder(study.places, study.name)
    words = replace(given, log_to=str(folder)).run_words(study.name)
    command = [sys.executable, "-m", "optdet", *words, *given.worker_words()]
    try:
        launched = launch(command, folder, lambda line: typer.echo(line, err=True))
    except KeyboardInterrupt:
        typer.echo(f"it starts all the same; stop it with: {given.words_of('stop', study.name)}", err=True)
        raise typer.Exit(130) from None
    if launched.code is None:
        print_line(f"started {study.name} in the background: process {launched.pid}, log {log_in(folder)}")
        follow = given.words_of("log", study.name, "--follow")
        print_line(f"look: {follow}   stop: {given.words_of('stop', study.name)}", after="   ")
    elif launched.code < 0:
        raise OptdetError(f"the run was ended by signal {-launched.code}", where=str(log_in(folder)))
    else:
        raise typer.Exit(launched.code)  # it has said why itself


def log(
    name: options.StudyName = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on until the run ends; Ctrl-C leaves the run alone.")
    ] = False,
    lines: Annotated[
        int | None,
        typer.Option("--lines", min=1, help="Only the last lines. Default: all.", show_default=False),
    ] = None,
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Show what a study's newest run in the background has said.

    Examples:

      optdet study log --lines 20

      optdet study log mine --follow
    """
    from optdet.tuning.background import runs_of
    from optdet.tuning.run_log import read_log

    study = open_study(name, storage, root, None)
    given = Given(storage=storage, root=root)
    runs = runs_of(study)
    if not runs:
        raise OptdetError(
            f"no run of {study.name} in the background has left a log here",
            where=str(study.places.logs_of(study.name)),
            fix=f"start one: {given.words_of('run', study.name, '--background')}",
        )
    newest = runs[-1]
    _say_which(newest, [run for run in runs[:-1] if run.works])
    try:
        for text in read_log(newest.log, lines, lambda: follow and newest.reread().works):
            typer.echo(text, nl=False)
    except KeyboardInterrupt:
        typer.echo(f"the run goes on; stop it with: {given.words_of('stop', study.name)}", err=True)
        raise typer.Exit(130) from None


def _say_which(newest: BackgroundRun, others: list[BackgroundRun]) -> None:
    state = "works" if newest.works else "has ended"
    typer.echo(f"process {newest.owner.pid} on {newest.owner.host} {state}, log {newest.log}", err=True)
    for run in others:
        typer.echo(f"process {run.owner.pid} on {run.owner.host} works too, log {run.log}", err=True)


def stop(
    name: options.StudyName = None,
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Stop a study's runs in the background on this host, as Ctrl-C stops one in a terminal.

    Their trials go on with the next run.

    Example:

      optdet study stop mine
    """
    from optdet.tuning.background import processes, runs_of, stop_runs

    study = open_study(name, storage, root, None)
    working = [run for run in runs_of(study) if run.works]
    here = [run for run in working if run.is_here]
    for run in working:
        if not run.is_here:
            typer.echo(f"process {run.owner.pid} can only be stopped on its host, {run.owner.host}", err=True)
    if not here:
        typer.echo(f"no run of {study.name} works in the background on this host")
        return
    typer.echo(f"stopping {processes(here)}", err=True)
    given_back = stop_runs(study, here)
    again = Given(storage=storage, root=root).words_of("run", study.name, "--background")
    typer.echo(f"stopped {counted(len(here), 'run')} of {study.name}")
    were = "was" if len(given_back) == 1 else "were"
    what = f"{numbers('trial', given_back)} {were} given back" if given_back else "no trial was in work"
    typer.echo(f"{what}; go on with: {again}")
