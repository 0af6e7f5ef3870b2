"""``optdet compare``: two sources or prediction files on the same images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optdet.cli import options

_SIDE = "STUDY, STUDY:TRIAL, a checkpoint, or a prediction file (.csv, .json)."


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help=_SIDE)],
    b: Annotated[str, typer.Argument(metavar="B", help="The same, compared with A: differences are B - A.")],
    thresholds_a: Annotated[
        list[str] | None,
        typer.Option("--a", "-a", help="A threshold of A to replace, as thresh=0.24; may be repeated."),
    ] = None,
    thresholds_b: Annotated[
        list[str] | None, typer.Option("--b", "-b", help="A threshold of B to replace; may be repeated.")
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option("--images", help="Folder of images. Default: the validation images of the study."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="Label file, or folder of one file an image.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder for a CSV of all images, and pictures of those that changed most."
        ),
    ] = None,
    json: options.Json = False,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1.")] = "auto",
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Compare two detectors, or one at two configurations, on the same images.

    Every difference is B - A, with a paired 95 % bootstrap interval over images.

    Examples:

      optdet compare quickstart:0 quickstart

      optdet compare quickstart quickstart -b box_thresh=0.4 --out changed

      optdet compare old.csv new.csv --labels val/labels.json --images val/images

      optdet compare quickstart new.csv --json
    """
    from optdet.cli.compare_tables import comparison_tables
    from optdet.cli.progress import image_bar
    from optdet.cli.tables import print_json
    from optdet.evaluation.comparison import compare as compare_detections
    from optdet.tuning.compared import Asked, open_sides

    with image_bar("reading maps") as on_image:
        sides = open_sides(
            Asked(a, thresholds_a or ()),
            Asked(b, thresholds_b or ()),
            images=images,
            labels=labels,
            device=device,
            storage=storage,
            root=root,
            on_image=on_image,
        )
    for note in sides.notes:
        typer.echo(f"note: {note}", err=True)
    comparison = compare_detections(sides.words, sides.a.polygons, sides.b.polygons)
    if out is not None:
        from optdet.tuning.compared_files import write_comparison

        for line in write_comparison(out, comparison, sides):
            typer.echo(line, err=True)
    if json:
        print_json({**sides.as_json(), **comparison.as_json()})
    else:
        comparison_tables(sides, comparison)
