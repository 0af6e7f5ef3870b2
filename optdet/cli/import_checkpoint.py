"""``optdet import``: another program's checkpoint as one of ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optdet.cli import options
from optdet.cli.overrides import in_our_names

if TYPE_CHECKING:
    from optdet.inference.lightning_import import Imported


def import_(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="A PyTorch Lightning .ckpt of the DB baseline.")
    ],
    overrides: options.Overrides = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Default: NAME.pt in the working directory.", show_default=False),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone", help="timm's name of it. Default: as the file says, or found by the tensors."
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            "--size", help="Side of the canvas. Default: as the file says, else 640.", show_default=False
        ),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option("--write", help="Also write a config that trains on from it.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    json: options.Json = False,
) -> None:
    """Read a checkpoint of the competition's DB baseline into one that any command takes as a SOURCE.

    It must be a timm encoder, the DB paper's FPN and head. Its tensors and plain values are read, and nothing
    in it is run. Images are then resized bilinearly, as at its home, and so the maps are the same.

    Examples:

      optdet import epoch=9.ckpt --out baseline.pt --size 1024

      optdet import epoch=9.ckpt --backbone resnet18 --write configs/baseline.yaml

      optdet import epoch=9.ckpt postprocess.thresh=0.22 postprocess.box_thresh=0.25
    """
    from optdet.cli.progress import image_bar
    from optdet.cli.tables import print_json
    from optdet.inference.lightning_import import import_checkpoint

    given = in_our_names(overrides)
    if size is not None:
        given.append(f"data.size={size}")
    with image_bar("networks tried") as on_network:
        imported = import_checkpoint(
            checkpoint,
            out,
            given,
            backbone=backbone,
            config_out=write,
            force=force,
            on_network=on_network,
        )
    if json:
        print_json(imported.as_json())
    else:
        _show(imported, checkpoint)
    if write is not None:
        typer.echo(f"wrote {write}: name its images, then: optdet train {write}", err=True)


def _show(imported: Imported, checkpoint: Path) -> None:
    from optdet.cli.tables import file_size, pairs

    config, after = imported.config, f", after epoch {imported.epoch}" if imported.epoch else ""
    typer.echo(f"{checkpoint}{after}: {config.model.backbone} (by {imported.taken['model.backbone']})")
    data = config.data
    typer.echo(f"images      {data.size} x {data.size}, {data.interpolation}, padded {data.pad}")
    typer.echo(f"thresholds  {pairs(config.postprocess.thresholds().as_dict())}")
    for note in imported.notes:
        typer.echo(f"note: {note}", err=True)
    size = file_size(imported.out.stat().st_size)
    typer.echo(
        f"wrote {imported.out}, {size}; use it: optdet predict {imported.out}, or train.start={imported.out}"
    )
