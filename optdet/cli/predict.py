"""``optdet predict``: images to a checked file of polygons."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optdet.cli import options


def predict(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="STUDY, STUDY:TRIAL or a checkpoint file.")],
    images: Annotated[Path, typer.Option("--images", help="Folder of images.")],
    out: Annotated[Path, typer.Option("--out", help="FILE.csv (filename,polygons) or FILE.json (UFO).")],
    labels: Annotated[
        Path | None, typer.Option("--labels", help="Only the images that this label file names.")
    ] = None,
    thresholds: Annotated[
        list[str] | None,
        typer.Option("--threshold", "-t", help="A threshold to replace, as thresh=0.24; may be repeated."),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1.")] = "auto",
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Find words in a folder of images and write their polygons.

    Examples:

      optdet predict quickstart --images val/images --out predictions.csv

      optdet predict quickstart:7 --images test --out test.json -t box_thresh=0.3
    """
    from optdet.cli.progress import image_bar
    from optdet.cli.tables import pairs
    from optdet.inference.device import choose_device
    from optdet.inference.folder import predict_folder
    from optdet.tuning.source import open_source
    from optdet.tuning.thresholds import replace_thresholds

    opened = open_source(source, choose_device(device), storage=storage, root=root)
    chosen = replace_thresholds(opened.thresholds, thresholds or [])
    with image_bar("predicting") as on_image:
        written = predict_folder(
            opened.trained.detector, chosen, images, out, labels=labels, cache=opened.cache, on_image=on_image
        )
    typer.echo(f"{opened.title} at {pairs(chosen.as_dict())}", err=True)
    for line in written:
        typer.echo(line, err=True)
