"""``optdet study create``: from a study or config file, a trial and folds, or a W&B sweep."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optdet.cli import completion, options
from optdet.cli.again import Given
from optdet.cli.overrides import in_our_names
from optdet.cli.study_folds import study_of_folds
from optdet.cli.study_queue import (
    WarmStartOption,
    WarmStartStorage,
    WarmStartTop,
    say_warm_start,
    warm_start_wish,
)
from optdet.phrases import counted

if TYPE_CHECKING:
    from optdet.study_config import StudyConfig
    from optdet.tuning.study import Database, TrialOrigin
    from optdet.tuning.wandb_study import SweepStudy
    from optdet.tuning.warm_start import WarmStart

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
    folds: Annotated[
        Path | None,
        typer.Option(
            "--folds", help="Train every fold of this folds.json with the settings of --from or FILE."
        ),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="STUDY[:TRIAL]",
            help="The trial whose settings the folds take; its best one.",
            autocompletion=completion.trials,
        ),
    ] = None,
    warm_start: WarmStartOption = None,
    warm_start_top: WarmStartTop = 3,
    warm_start_storage: WarmStartStorage = None,
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

      optdet study create --folds folds/folds.json --from mine

      optdet study create configs/mine.yaml --folds folds/folds.json --name mine-folds

      optdet study create studies/mine.yaml --name mine-next --warm-start mine

      optdet study create --from-wandb sweep.yaml configs/mine.yaml --write studies/sweep.yaml

      optdet study create --from-wandb sweep.yaml configs/mine.yaml --dry-run
    """
    given = list(overrides or [])
    if file is not None and "=" in file and not Path(file).exists():
        given, file = [file, *given], None
    given = in_our_names(given, also=_study_names())
    if folds is None and from_ is not None:
        raise typer.BadParameter("--from is for --folds", param_hint="--from")
    if folds is not None and from_wandb is not None:
        raise typer.BadParameter("give either --folds or --from-wandb", param_hint="--folds")
    study: StudyConfig | None = None
    if from_wandb is not None:
        found = _from_sweep(from_wandb, file, given, name, ignore_unknown=ignore_unknown, place=write)
        _keep(found, write, force=force, dry_run=dry_run)
        if dry_run:
            return
        study = found.study
    else:
        _refuse(ignore_unknown=ignore_unknown, write=write, force=force, dry_run=dry_run)
    if folds is None and study is None:
        study = _read(file, given, name)
    database, origin = _open(storage, root), None
    if folds is not None:
        study, origin = study_of_folds(database, folds, file, from_, given, name=name, data_root=data_root)
    assert study is not None
    wish = warm_start_wish(database, warm_start, warm_start_top, warm_start_storage)
    _create(database, study, wish, Given(storage=storage, root=root), data_root, origin)


def _read(file: str | None, overrides: list[str], name: str | None) -> StudyConfig:
    from optdet.shipped import quickstart_file
    from optdet.study_io import load_study

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


def _open(storage: str | None, root: str | None) -> Database:
    from optdet.tuning.study import open_database

    return open_database(storage, root, create=True)


def _create(
    database: Database,
    study: StudyConfig,
    wish: WarmStart | None,
    given: Given,
    data_root: str | None,
    settings_from: TrialOrigin | None,
) -> None:
    from optdet.tuning.study import load_study
    from optdet.tuning.study_creation import create_study

    base = Path(data_root) if data_root else None
    state = create_study(database, study, data_root=base, warm_start=wish, settings_from=settings_from)
    typer.echo(f"{state}: study {study.name}, {counted(study.trials, 'trial')}, in {database.shown}")
    say_warm_start(load_study(database, study.name), given)
    typer.echo(f"run it: {given.run_again(study.name)}")  # where its data paths begin is stored in the study


def _study_names() -> list[str]:
    from optdet.setting_names import setting_names
    from optdet.study_config import StudyConfig

    return list(setting_names(StudyConfig))


def _refuse(**only_with_sweep: object) -> None:
    for name, value in only_with_sweep.items():
        if value:
            option = "--" + name.replace("_", "-")
            raise typer.BadParameter("it says something about --from-wandb alone", param_hint=option)
