"""``optdet train``: one training run, as a study of one trial."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optdet.cli import options
from optdet.cli.again import Given
from optdet.cli.overrides import in_our_names


def train(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="A config file, as configs/resnet50.yaml.")
    ],
    overrides: options.Overrides = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the run. Default: the file's name, numbered.")
    ] = None,
    device: options.Device = None,
    storage: options.Storage = None,
    root: options.Root = None,
    accept_changed_data: options.AcceptChangedData = False,
) -> None:
    """Train a detector once, with thresholds tuned at the end; run again to go on after a kill.

    Examples:

      optdet train configs/mine.yaml

      optdet train configs/mine.yaml optimizer.lr=0.0004 train.epochs=22
    """
    from optdet.cli.progress import image_bar
    from optdet.cli.running import run_and_report
    from optdet.config_io import load_config
    from optdet.study_io import one_trial_study
    from optdet.tuning.preflight import check_run
    from optdet.tuning.study import load_study, open_database, outer_studies
    from optdet.tuning.study_creation import create_study, run_name

    settings = load_config(config, in_our_names(overrides))
    database = open_database(storage, root, create=True)
    study = one_trial_study(settings, name or run_name(database, settings, config.stem))
    if all(row.name != study.name for row in outer_studies(database)):
        with image_bar("preparing images") as on_image:
            check_run(database, study, device=device, on_image=on_image)
    state = create_study(database, study)
    typer.echo(f"{state}: {study.name} in {database.shown}", err=True)
    given = Given(storage=storage, root=root, device=device, accept_changed_data=accept_changed_data)
    run_and_report(load_study(database, study.name), given)
