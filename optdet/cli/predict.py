"""``optdet predict``: images to a checked file of polygons."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optdet.cli import options, source_options


def predict(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help=source_options.SOURCE_HELP)],
    images: Annotated[Path, typer.Option("--images", help="Folder of images.")],
    out: Annotated[Path, typer.Option("--out", help="FILE.csv (filename,polygons) or FILE.json (UFO).")],
    labels: Annotated[
        Path | None, typer.Option("--labels", help="Only the images that this label file names.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="At the thresholds of this config; what it leaves out is at its default.",
        ),
    ] = None,
    tta: source_options.Augmentation = None,
    thresholds: Annotated[
        list[str] | None,
        typer.Option("--threshold", "-t", help="A threshold to replace, as thresh=0.24; may be repeated."),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1.")] = "auto",
    mean: source_options.Mean = None,
    std: source_options.Std = None,
    size: source_options.Size = 1024,
    channels: source_options.ChannelOrder = "rgb",
    pad: source_options.Padding = "center",
    activation: source_options.OutputActivation = "auto",
    placement: source_options.Placement = "auto",
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Find words in a folder of images and write their polygons.

    Examples:

      optdet predict quickstart --images val/images --out predictions.csv

      optdet predict quickstart:7 --images test --out test.json -t box_thresh=0.3

      optdet predict maps/ --images test --out test.csv --config configs/tuned.yaml

      optdet predict quickstart --images test --out test.csv --tta scale:960,hflip

      optdet predict ensemble.yaml --images test --out test.csv

      optdet predict detector.onnx --images test --out test.csv --mean 0.5 --std 0.5 --channels bgr
    """
    from optdet.cli.progress import image_bar
    from optdet.cli.tables import pairs
    from optdet.config_io import load_config
    from optdet.inference.folder import predict_folder
    from optdet.inference.views import parse_views
    from optdet.tuning.detection_source import in_use
    from optdet.tuning.ensemble_source import with_views
    from optdet.tuning.source import open_detections

    opening = source_options.source_options(
        device=device,
        storage=storage,
        root=root,
        mean=mean,
        std=std,
        size=size,
        channels=channels,
        pad=pad,
        activation=activation,
        placement=placement,
    )
    written = None if config is None else load_config(config).postprocess.thresholds()
    opened = with_views(open_detections(source, opening), parse_views(tta or ()))
    chosen = in_use(opened, thresholds or (), config=written)
    with image_bar("predicting") as on_image:
        lines = predict_folder(
            lambda paths: opened.detect(paths, chosen, on_image=on_image), images, out, labels=labels
        )
    typer.echo(f"{opened.title}{f' at {pairs(chosen.as_dict())}' if chosen else ''}", err=True)
    for line in lines:
        typer.echo(line, err=True)
