"""``optdet study create``: from a study or config file, or from a W&B sweep."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optdet.cli import options
from optdet.cli.again import Given
from optdet.cli.overrides import in_our_names
from optdet.phrases import counted

if TYPE_CHECKING:
    from optdet.study_config import StudyConfig
    from optdet.tuning.wandb_study import SweepStudy

FromWandb = Annotated[
    Path | None,
    typer.Option(
        "--from-wandb",
        metavar="SWEEP",
        help="A W&B sweep file of the DB baseline; what it varies is varied here.",
        show_default=False,
    ),
]
IgnoreUnknown = Annotated[
    bool,
    typer.Option("--ignore-unknown", help="With --from-wandb: leave out names that have no setting here."),
]
Write = Annotated[
    Path | None,
    typer.Option("--write", help="With --from-wandb: also write the study file.", show_default=False),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="With --from-wandb: print the study file, create nothing.")
]


def create(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE",
            help="A study or config file; with --from-wandb the config. Default: the quickstart study.",
            show_default=False,
        ),
    ] = None,
    overrides: options.Overrides = None,
    name: Annotated[str | None, typer.Option("--name", help="Another name than the file's.")] = None,
    from_wandb: FromWandb = None,
    ignore_unknown: IgnoreUnknown = False,
    write: Write = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file of --write if it is there.")
    ] = False,
    dry_run: DryRun = False,
    storage: options.Storage = None,
    root: options.Root = None,
    data_root: options.DataRoot = None,
) -> None:
    """Create a study; creating the same one again changes nothing.

    Settings may have the names of the competition's DB baseline too: models.optimizer.lr=0.0004. Of a W&B
    sweep it is said what became of each line; thresholds go to the inner loop.

    Examples:

      optdet study create

      optdet study create studies/mine.yaml train.epochs=30 trials=40

      optdet study create --from-wandb sweep.yaml configs/mine.yaml --write studies/sweep.yaml

      optdet study create --from-wandb sweep.yaml configs/mine.yaml --dry-run
    """
    given = list(overrides or [])
    if file is not None and "=" in file and not Path(file).exists():
        given, file = [file, *given], None
    given = in_our_names(given, also=_study_names())
    if from_wandb is None:
        _refuse(ignore_unknown=ignore_unknown, write=write, force=force, dry_run=dry_run)
        study = _read(file, given, name)
    else:
        found = _from_sweep(from_wandb, file, given, name, ignore_unknown=ignore_unknown, place=write)
        _keep(found, write, force=force, dry_run=dry_run)
        if dry_run:
            return
        study = found.study
    _create(study, storage=storage, root=root, data_root=data_root)


def _read(file: str | None, overrides: list[str], name: str | None) -> StudyConfig:
    from optdet.config_io import load_study
    from optdet.shipped import quickstart_file

    return load_study(Path(file) if file is not None else quickstart_file(), overrides, name=name)


def _from_sweep(
    path: Path,
    config: str | None,
    overrides: list[str],
    name: str | None,
    *,
    ignore_unknown: bool,
    place: Path | None,
) -> SweepStudy:
    """The study of a sweep, once what became of its lines is printed."""
    from optdet.cli.tables import sweep_table
    from optdet.tuning.wandb_study import study_of_sweep
    from optdet.tuning.wandb_sweep import read_sweep, require_mapped

    sweep = read_sweep(path)
    sweep_table(sweep)
    if not ignore_unknown:
        require_mapped(sweep, path)
    return study_of_sweep(
        sweep, path, None if config is None else Path(config), overrides, name=name, place=place
    )


def _keep(found: SweepStudy, write: Path | None, *, force: bool, dry_run: bool) -> None:
    """Write and print the study file, as far as asked for; refuse a study that could not be run."""
    from optdet.tuning.wandb_study import require_images, write_study

    if dry_run:
        typer.echo(found.text, nl=False)
    else:
        require_images(found.study)
    if write is not None:
        write_study(found.text, write, force=force)
        typer.echo(f"wrote {write}", err=True)


def _create(study: StudyConfig, *, storage: str | None, root: str | None, data_root: str | None) -> None:
    from optdet.tuning.study import create_study, open_database

    database = open_database(storage, root, create=True)
    state = create_study(database, study, data_root=Path(data_root) if data_root else None)
    typer.echo(f"{state}: study {study.name}, {counted(study.trials, 'trial')}, in {database.shown}")
    # Where its data paths begin is stored in the study.
    typer.echo(f"run it: {Given(storage=storage, root=root).run_again(study.name)}")


def _study_names() -> list[str]:
    from optdet.setting_names import setting_names
    from optdet.study_config import StudyConfig

    return list(setting_names(StudyConfig))


def _refuse(**only_with_sweep: object) -> None:
    for name, value in only_with_sweep.items():
        if value:
            option = "--" + name.replace("_", "-")
            raise typer.BadParameter("it says something about --from-wandb alone", param_hint=option)
