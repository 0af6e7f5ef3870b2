"""``optdet evaluate``: a prediction file against labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optdet.cli import options


def evaluate(
    predictions: Annotated[
        Path, typer.Argument(metavar="PREDICTIONS", help="FILE.csv (filename,polygons) or FILE.json (UFO).")
    ],
    labels: Annotated[Path, typer.Option("--labels", help="Label file, or folder of one file an image.")],
    images: Annotated[
        Path | None,
        typer.Option(
            "--images",
            help="Score only labelled images that are in this folder, and check the polygons against them.",
        ),
    ] = None,
    format: Annotated[str, typer.Option("--format", help="auto, ufo, icdar or paddle.")] = "auto",
    per_image: Annotated[
        Path | None, typer.Option("--per-image", help="Write the scores of each image to this CSV file.")
    ] = None,
    worst: Annotated[int, typer.Option("--worst", min=0, help="How many of the worst images to list.")] = 5,
    json: options.Json = False,
) -> None:
    """Score predictions: CLEval (competition and official) and IoU@0.5.

    The images of LABELS are scored. One without a prediction counts as empty.

    Examples:

      optdet evaluate predictions.csv --labels val/labels.json

      optdet evaluate predictions.csv --labels val/gt --images val/images --json

      optdet evaluate test.json --labels val.json --per-image scores.csv --worst 20
    """
    from optdet.cli.tables import print_json, scores_table
    from optdet.data.prediction_scores import score_predictions, write_image_scores

    scored = score_predictions(predictions, labels, images=images, format=format)
    evaluation = scored.evaluation
    for remark in scored.remarks():
        typer.echo(f"note: {remark}", err=True)
    if per_image is not None:
        write_image_scores(per_image, evaluation)
    if json:
        print_json(scored.as_json())
        return
    typer.echo(f"{predictions}: {len(evaluation.names)} images")
    scores_table(evaluation.scores.as_json())
    low, high = evaluation.interval()
    typer.echo(f"95 % interval of the competition macro H-mean {low:.4f} to {high:.4f}")
    if worst:
        typer.echo("worst images by their competition H-mean")
    for row in evaluation.image_rows()[:worst]:
        detail = f"precision {row['precision']:.4f}, recall {row['recall']:.4f}"
        typer.echo(f"  {row['hmean']:.4f}  {row['image']}  ({detail})")
