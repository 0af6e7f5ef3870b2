"""``optdet study copy``: a study into another database."""

from __future__ import annotations

from typing import Annotated

import typer

from optdet.cli import options
from optdet.cli.again import Given
from optdet.phrases import counted


def copy(
    name: options.OneStudy,
    to: Annotated[
        str, typer.Option("--to", help="The other database: a path or a URL; made if it is not there.")
    ],
    root: Annotated[
        str | None,
        typer.Option(
            "--root",
            help="Folder of the copy's files. Default: that of the other SQLite file, or studies.",
            show_default=False,
        ),
    ] = None,
    new_name: Annotated[str | None, typer.Option("--name", help="Another name for the copy.")] = None,
    storage: options.Storage = None,
    from_root: Annotated[
        str | None,
        typer.Option(
            "--from-root",
            help="Folder where the study's files lie. Default: the folder of its SQLite file, or studies.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Copy a study into another database, as from SQLite to PostgreSQL, with all that belongs to it.

    Trials (queued and unfinished ones too), attributes, threshold tuning, run folders and pictures. The
    copy goes on with `study run`. No worker may run the study meanwhile; after a kill, the same command
    makes the copy again.

    Examples:

      optdet study copy mine --to postgresql://me@host/optdet --root /shared/studies

      optdet study copy mine --to studies/mine.db --name mine-2
    """
    from optdet.tuning.study import find_study, load_study, open_database
    from optdet.tuning.study_copy import copy_study

    source = open_database(storage, from_root)
    study = load_study(source, find_study(source, name))
    target = open_database(to, root, create=True)
    copied = copy_study(study, target, new_name)
    files = f", {counted(copied.n_submissions, 'submission')}" if copied.n_submissions else ""
    typer.echo(
        f"copied: study {copied.name}, {copied.n_trials} trials, {copied.n_inner_studies} inner studies"
        f"{files}, to {target.shown}, files in {target.places.root}"
    )
    if copied.shares_files:
        typer.echo(
            "both studies work in the same run folders: go on with one of them only (to delete the other "
            "leaves the files)"
        )
    typer.echo(f"run it: {Given(storage=to, root=root).run_again(copied.name)}")
