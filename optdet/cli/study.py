"""``optdet study``: run, list, show, best, export; the other commands have files of their own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optdet.cli import options
from optdet.cli.again import Given
from optdet.cli.opening import open_study
from optdet.cli.running import run_as_worker, run_here
from optdet.cli.study_background import start_in_background
from optdet.cli.study_copy import copy
from optdet.cli.study_create import create
from optdet.errors import OptdetError
from optdet.phrases import parse_duration

if TYPE_CHECKING:
    from optdet.tuning.study import OpenStudy

app = typer.Typer(no_args_is_help=True)
app.command()(create)
app.command()(copy)


@app.command()
def run(
    name: options.StudyName = None,
    trials: Annotated[
        int | None,
        typer.Option(
            "--trials",
            min=1,
            help="Finished trials that the study should have, over all workers and restarts.",
            show_default="the file's",
        ),
    ] = None,
    timeout: Annotated[
        str | None, typer.Option("--timeout", help="Stop after this time, as 8h, 90m or 3600s.")
    ] = None,
    smoke: Annotated[
        bool,
        typer.Option("--smoke", help="Take one batch through everything, and say how long the study takes."),
    ] = False,
    workers: Annotated[
        str,
        typer.Option(
            "--workers",
            metavar="N|auto",
            help="Processes that share the study; auto is one a GPU (CUDA_VISIBLE_DEVICES), one without any.",
        ),
    ] = "1",
    background: Annotated[
        bool,
        typer.Option("--background", help="Start it and come back: `study log` shows what it says."),
    ] = False,
    device: options.Device = None,
    storage: options.Storage = None,
    root: options.Root = None,
    data_root: options.DataRoot = None,
    accept_changed_data: options.AcceptChangedData = False,
    worker: Annotated[
        int | None, typer.Option("--worker", hidden=True, help="Which of several this one is.")
    ] = None,
    log_to: Annotated[
        str | None, typer.Option("--log-to", hidden=True, help="The folder of this run in the background.")
    ] = None,
) -> None:
    """Run trials until the study is full. After a kill, the same command goes on.

    Several terminals may run the same study at once, and --workers starts several here.

    Examples:

      optdet study run --trials 20

      optdet study run mine --timeout 8h

      optdet study run mine --workers auto

      optdet study run mine --background
    """
    if smoke and background:
        raise typer.BadParameter("--smoke is over in a minute: run it here", param_hint="--background")
    seconds = None if timeout is None else _seconds(timeout)
    _check_workers(workers)
    study = open_study(name, storage, root, data_root)
    if smoke:
        _smoke(study, device, trials)
        return
    several = workers if workers != "1" else None
    given = Given(storage, root, data_root, device, timeout, trials, several, accept_changed_data, log_to)
    if background:
        start_in_background(study, given)
    elif worker is not None:
        run_as_worker(study, given, timeout_s=seconds)
    else:
        run_here(study, given, timeout_s=seconds)


@app.command("list")
def list_(
    all_: Annotated[bool, typer.Option("--all", help="Also the inner studies of threshold tuning.")] = False,
    json: options.Json = False,
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """List the studies of a database, oldest first.

    Example:

      optdet study list --storage studies/optdet.db
    """
    from optdet.cli.tables import print_json, studies_table
    from optdet.tuning.overview import study_rows
    from optdet.tuning.study import open_database

    rows = study_rows(open_database(storage, root), with_inner=all_)
    if json:
        print_json(rows)
    else:
        studies_table(rows)


@app.command()
def show(
    name: options.StudyName = None,
    sizes: Annotated[
        bool,
        typer.Option("--sizes", help="What each trial cost, and its H-mean by the height of words."),
    ] = False,
    json: options.Json = False,
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Show a study's trials: values, parameters, epochs, who works on what.

    Examples:

      optdet study show

      optdet study show resolution --sizes

      optdet study show mine --json
    """
    from optdet.cli.sizes_table import sizes_table
    from optdet.cli.tables import print_json, study_table
    from optdet.tuning.results import study_json

    study = open_study(name, storage, root, None, say=not json)
    shown = study_json(study)
    if json:
        print_json(shown)
    elif sizes:
        sizes_table(shown)
    else:
        study_table(shown)


@app.command()
def best(
    name: options.StudyName = None,
    write: Annotated[
        Path | None,
        typer.Option("--write", help="Write a config from which `optdet train` gives this trial again."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    json: options.Json = False,
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Show the best trial: its scores in both profiles, its thresholds, its parameters.

    Examples:

      optdet study best

      optdet study best mine --write configs/mine-best.yaml
    """
    from optdet.cli.tables import best_table, print_json
    from optdet.tuning.results import best_json, write_best

    study = open_study(name, storage, root, None, say=not json)
    shown = best_json(study)
    if write is not None:
        write_best(study, write, force=force)
        typer.echo(f"wrote {write}; train it again: optdet train {write}", err=True)
    if json:
        print_json(shown)
    else:
        best_table(shown)


@app.command()
def export(
    name: options.StudyName = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="FILE.csv or FILE.json. Default: CSV to stdout.")
    ] = None,
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Export every trial as a row: state, value, parameters, thresholds, scores, times.

    Example:

      optdet study export mine --out trials.csv
    """
    from optdet.data.files import write_atomically
    from optdet.tuning.export import export_text

    study = open_study(name, storage, root, None, say=out is not None)
    as_json = out is not None and out.suffix.lower() == ".json"
    if out is not None and out.suffix.lower() not in {".csv", ".json"}:
        raise OptdetError(
            f"{out.suffix or 'no suffix'} is not an export format", where=str(out), fix="use .csv or .json"
        )
    text = export_text(study, as_json=as_json)
    if out is None:
        sys.stdout.write(text)
    else:
        write_atomically(out, text.encode())
        typer.echo(f"wrote {out}", err=True)


def _smoke(study: OpenStudy, device: str | None, trials: int | None) -> None:
    from optdet.tuning.smoke import smoke_test

    for line in smoke_test(study, device=device, trials=trials):
        typer.echo(line)


def _check_workers(text: str) -> None:
    from optdet.tuning.workers import n_workers

    try:
        n_workers(text, n_gpus=0)
    except OptdetError as error:
        raise typer.BadParameter(f"{error.what}; {error.fix}", param_hint="--workers") from None


def _seconds(text: str) -> float:
    seconds = parse_duration(text)
    if seconds is None:
        raise typer.BadParameter(f"{text!r} is not a time; write 8h, 90m or 3600s", param_hint="--timeout")
    return seconds
