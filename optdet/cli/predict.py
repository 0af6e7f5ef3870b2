"""``optdet predict``: images to a checked file of polygons."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optdet.cli import completion, source_options

if TYPE_CHECKING:
    from optdet.tuning.source import SourceOptions


@source_options.reads_sources
def predict(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help=source_options.SOURCE_HELP, autocompletion=completion.sources),
    ],
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
    simplify: Annotated[
        int | None,
        typer.Option("--simplify", metavar="N", help="Write polygons with at most N points, 4 or more."),
    ] = None,
    val_images: Annotated[
        Path | None,
        typer.Option(
            "--val-images", help="Score the source on these too. Default: a study's own.", show_default=False
        ),
    ] = None,
    val_labels: Annotated[
        Path | None, typer.Option("--val-labels", help="The labels of --val-images.")
    ] = None,
    score: Annotated[
        bool, typer.Option("--score/--no-score", help="Score the source on its labelled images.")
    ] = True,
    *,
    opening: SourceOptions,
) -> None:
    """Find words in a folder of images and write their polygons.

    The file is noted in the registry of submissions, with what the source scores on its labelled images.

    Examples:

      optdet predict quickstart --images val/images --out predictions.csv

      optdet predict quickstart:7 --images test --out test.json -t box_thresh=0.3

      optdet predict maps/ --images test --out test.csv --config configs/tuned.yaml

      optdet predict quickstart --images test --out test.csv --tta scale:960,hflip

      optdet predict ensemble.yaml --images test --out test.csv --simplify 20

      optdet predict detector.onnx --images test --out test.csv --mean 0.5 --std 0.5 --channels bgr
    """
    from optdet.cli.progress import image_bar
    from optdet.cli.tables import pairs
    from optdet.config_io import load_config
    from optdet.inference.views import parse_views
    from optdet.tuning.detection_source import in_use
    from optdet.tuning.ensemble_source import with_views
    from optdet.tuning.source import open_detections
    from optdet.tuning.submission_predict import Wanted, predict_submission

    written = None if config is None else load_config(config).postprocess.thresholds()
    views = parse_views(tta or ())
    opened = with_views(open_detections(source, opening), views)
    chosen = in_use(opened, thresholds or (), config=written)
    wanted = Wanted(images, out, labels, simplify, val_images, val_labels, score, tuple(map(str, views)))
    predicted = predict_submission(opened, source, chosen, wanted, opening, bar=image_bar)
    typer.echo(f"{opened.title}{f' at {pairs(chosen.as_dict())}' if chosen else ''}", err=True)
    for line in predicted.lines():
        typer.echo(line, err=True)
    for note in predicted.notes:
        typer.echo(f"note: {note}", err=True)
