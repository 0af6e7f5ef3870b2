"""``optdet study``: what happens to a study beside its runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optdet.cli import completion, options
from optdet.cli.overrides import in_our_names
from optdet.errors import OptdetError
from optdet.phrases import counted

if TYPE_CHECKING:
    from optdet.tuning.deletion import Doomed


def backup(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="Where to. Default: beside the database, named by the time.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    storage: options.Storage = None,
) -> None:
    """Copy the database, all its studies, into one file, while workers may write.

    Weights and pictures are not in it: they stay beside the database. To go on from a backup, name it as
    --storage, with --root where it lies elsewhere.

    Examples:

      optdet study backup

      optdet study backup backups/monday.db --storage studies/optdet.db
    """
    from optdet.cli.tables import file_size
    from optdet.store.backup import backup_database
    from optdet.store.engine import open_storage
    from optdet.store.url import storage_url

    written = backup_database(open_storage(storage_url(storage), create=False), file, force=force)
    typer.echo(f"wrote {written}, {file_size(written.stat().st_size)}")


def delete(
    name: options.OneStudy,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Delete a study with its trials, weights, pictures and kept maps.

    After a kill, the same command goes on.

    Example:

      optdet study delete mine --yes
    """
    from optdet.tuning.deletion import delete_study, find_doomed
    from optdet.tuning.study import find_study, open_database

    database = open_database(storage, root)
    found = find_study(database, name)
    if not yes:
        _confirm(f"delete {_in_words(find_doomed(database, found))}?")
    gone = delete_study(database, found)
    typer.echo(f"deleted {_in_words(gone)}")
    for other in gone.kept_by:
        typer.echo(f"{other} has a study of this name too: what that one names was left", err=True)


def clean(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="One study alone. Default: everything.",
            show_default=False,
            autocompletion=completion.studies,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    unknown: Annotated[
        bool,
        typer.Option(
            "--unknown",
            help="With PostgreSQL or --root: also run folders and pictures that this database does not know.",
        ),
    ] = False,
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Remove what is not needed: maps beyond keep.maps, files of trials that are gone, a cache too large.

    What a running process uses stays, and so does the best checkpoint of every trial.

    Examples:

      optdet study clean --dry-run

      optdet study clean mine
    """
    from optdet.cli.tables import file_size
    from optdet.tuning.cleaning import clean as clean_up
    from optdet.tuning.study import find_study, open_database

    database = open_database(storage, root)
    found = None if name is None else find_study(database, name)
    cleaned = clean_up(database, found, dry_run=dry_run, unknown=unknown)
    for what in dict.fromkeys(waste.what for waste in cleaned.waste):
        sizes = [waste.n_bytes for waste in cleaned.waste if waste.what == what]
        typer.echo(f"{what}: {len(sizes)}, {file_size(sum(sizes))}")
    total = file_size(sum(waste.n_bytes for waste in cleaned.waste))
    typer.echo(f"would remove {total}" if dry_run else f"removed {total}")
    if cleaned.unknown:
        left = counted(len(cleaned.unknown), "run folder or picture")
        typer.echo(
            f"left {left} that this database does not know; if no other uses this root: --unknown", err=True
        )


def extend(
    trial: Annotated[
        str,
        typer.Argument(
            metavar="STUDY:TRIAL",
            help="A trial that is complete or pruned.",
            autocompletion=completion.trials,
        ),
    ],
    changes: options.Overrides = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            min=1,
            help="Epochs from its best one on. Default: the rest of its own, for a pruned trial.",
            show_default=False,
        ),
    ] = None,
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Go on with a trial that has ended: a new trial is queued that starts from its best checkpoint.

    It is run by `study run`, and never pruned. The optimizer starts anew; settings may be replaced.

    Examples:

      optdet study extend mine:8

      optdet study extend mine:8 --epochs 10 optimizer.lr=0.0001
    """
    from optdet.cli.again import Given
    from optdet.tuning.extension import extend_trial
    from optdet.tuning.study import open_database
    from optdet.tuning.study_source import find_source

    study, found = find_source(open_database(storage, root), trial)
    queued = extend_trial(study, found, in_our_names(changes), epochs=epochs)
    typer.echo(
        f"queued in {study.name} as trial {queued.number}: trial {found.number} goes on after epoch "
        f"{queued.after_epoch}, to epoch {queued.epochs}"
    )
    total = queued.total if queued.total > study.config.trials else None
    typer.echo(f"run it: {Given(storage=storage, root=root).run_again(study.name, trials=total)}")


def _in_words(doomed: Doomed) -> str:
    from optdet.cli.tables import file_size

    return f"study {doomed.name}: {counted(doomed.n_trials, 'trial')}, {file_size(doomed.n_bytes)} of files"


def _confirm(question: str) -> None:
    """Ask on a terminal; elsewhere nobody could answer."""
    if not sys.stdin.isatty():
        raise OptdetError("not a terminal, so nobody can be asked", fix="say so with --yes")
    typer.confirm(question, abort=True)
