"""``optdet trial``: one trial of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optdet.cli import completion, options

app = typer.Typer(no_args_is_help=True)


@app.command()
def pack(
    trial: Annotated[
        str,
        typer.Argument(
            metavar="STUDY:TRIAL",
            help="The trial; of STUDY alone its best.",
            autocompletion=completion.trials,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Default: STUDY-t0012.pt in the working directory.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Write a trial into one file that any command takes as a SOURCE, anywhere.

    It holds the config, weights and thresholds, the data's fingerprint and the versions; no absolute path.

    Examples:

      optdet trial pack mine

      optdet trial pack mine:12 --out detector.pt
    """
    from optdet.cli.tables import file_size
    from optdet.tuning.pack import pack_trial
    from optdet.tuning.study import open_database
    from optdet.tuning.study_source import find_source

    study, found = find_source(open_database(storage, root), trial)
    written = pack_trial(study, found, out, force=force)
    size = file_size(written.stat().st_size)
    typer.echo(f"wrote {written}, {size}: {study.name}:{found.number}; use it: optdet predict {written}")
