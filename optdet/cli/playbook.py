"""``optdet playbook``: a strategy in a file, run stage by stage."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optdet.cli import options

if TYPE_CHECKING:
    from optdet.playbook.runner import Ended
    from optdet.playbook.status import Status

app = typer.Typer(no_args_is_help=True)

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A playbook, as studies/playbook_efficientnet_b4.yaml.")
]
Choose = Annotated[
    list[str] | None,
    typer.Option("--choose", help="A stage to take where a gate leaves a choice; may be repeated."),
]


@app.callback()
def _group() -> None:
    """Stages and gates in a file: run, stopped, gone on with."""


@app.command()
def run(
    file: File,
    overrides: options.Overrides = None,
    until: Annotated[str | None, typer.Option("--until", help="Stop when this stage is done.")] = None,
    choose: Choose = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say which way it would go, and run nothing.")
    ] = False,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1.")] = "auto",
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Run a playbook from where it is. After a kill, the same command goes on.

    Where the file says wait: leaderboard it stops at a gate, says which files to submit, and goes on once
    `optdet submission record` has told it what the board said.

    Examples:

      optdet playbook run studies/playbook_efficientnet_b4.yaml --dry-run

      optdet playbook run studies/playbook_efficientnet_b4.yaml --until postprocess

      optdet playbook run studies/playbook_efficientnet_b4.yaml --choose lr-retune
    """
    from optdet.cli.again import command_line
    from optdet.cli.playbook_display import CommandDisplay, path_table, status_table
    from optdet.errors import OptdetError
    from optdet.playbook.graph import check_stages_named, load_playbook
    from optdet.playbook.opened import look_ahead, open_playbook, status
    from optdet.playbook.runner import run_playbook

    playbook = load_playbook(file, tuple(overrides or ()))
    check_stages_named(playbook, until, choose or ())
    before = status(playbook, storage, root, chosen=choose or ())
    _say_choices_made(before, choose or [], file)
    if dry_run:
        path_table(before)
        try:
            look_ahead(playbook, file.parent, CommandDisplay(), storage, root)
        except OptdetError as error:
            typer.echo(f"note: a run would stop before its first step: {error}", err=True)
        return
    try:
        context = open_playbook(playbook, file.parent, CommandDisplay(), device, storage, root)
        ended = run_playbook(context, until=until, chosen=choose or ())
    except KeyboardInterrupt:
        words = ["playbook", "run", str(file), *(overrides or [])]
        words += [] if until is None else ["--until", until]
        words += [word for stage in choose or [] for word in ("--choose", stage)]
        words += [] if device == "auto" else ["--device", device]
        typer.echo(f"interrupted; go on with: {command_line(words, storage, root)}", err=True)
        raise typer.Exit(130) from None
    status_table(status(playbook, storage, root, chosen=choose or ()))
    _say_end(ended, until, storage, root)


@app.command("status")
def status_(
    file: File,
    overrides: options.Overrides = None,
    choose: Choose = None,
    json: options.Json = False,
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Show the steps so far with their scores, times and reasons, the checklist, and what comes next.

    Example:

      optdet playbook status studies/playbook_efficientnet_b4.yaml
    """
    from optdet.cli.playbook_display import status_table
    from optdet.cli.tables import print_json
    from optdet.playbook.graph import check_stages_named, load_playbook
    from optdet.playbook.opened import status

    playbook = load_playbook(file, tuple(overrides or ()))
    check_stages_named(playbook, None, choose or ())
    found = status(playbook, storage, root, chosen=choose or ())
    if json:
        print_json(found.as_json())
    else:
        status_table(found)


@app.command()
def forget(
    file: File,
    overrides: options.Overrides = None,
    *,
    since: Annotated[int, typer.Option("--since", min=0, help="The first step to forget.")],
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Forget the steps of a playbook from a number on, so that it goes on from there anew.

    Studies and files that they made stay, and are found again by the same stages; a stage that was changed
    makes a study of its own, with a number behind the name.

    Example:

      optdet playbook forget studies/playbook_efficientnet_b4.yaml --since 2
    """
    from optdet.phrases import counted
    from optdet.playbook.graph import load_playbook
    from optdet.store.playbook_steps import forget_steps
    from optdet.tuning.study import open_database

    playbook = load_playbook(file, tuple(overrides or ()))
    removed = forget_steps(open_database(storage, root).storage, playbook.name, since=since)
    typer.echo(f"{playbook.name}: {counted(removed, 'step')} forgotten")


def _say_choices_made(before: Status, chosen: list[str], file: Path) -> None:
    """A choice that was followed is kept with its step: naming another stage now changes nothing there."""
    for step in before.steps[:-1]:
        made = step.decision
        others = [] if made is None else [name for name in chosen if name in made.among]
        if made is not None and others and made.go not in others:
            again = f"optdet playbook forget {shlex.quote(str(file))} --since {step.number}"
            typer.echo(
                f"note: step {step.number} chose {made.go} already, and --choose {others[0]} does not change "
                f"that; to choose again: {again}",
                err=True,
            )


def _say_end(ended: Ended, until: str | None, storage: str | None, root: str | None) -> None:
    from optdet.cli.again import command_line

    if ended.reason == "waiting":
        typer.echo(
            "waiting for the leaderboard; submit, record what it said, and run the same command again:"
        )
        for path in ended.to_submit:
            words = ["submission", "record", path, "--hmean", "H", "--precision", "P", "--recall", "R"]
            typer.echo(f"  {command_line(words, storage, root)}")
    elif ended.reason == "until":
        typer.echo(f"stopped: {until} is done; without --until it goes on")
    else:
        last = ended.steps[-1].result
        assert last is not None
        typer.echo(f"at an end: {last.title}{f', {last.submission.path}' if last.submission else ''}")
