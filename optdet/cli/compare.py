"""``optdet compare``: two sources or prediction files on the same images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optdet.cli import completion, options, source_options

if TYPE_CHECKING:
    from optdet.tuning.source import SourceOptions

_SIDE = "STUDY, STUDY:TRIAL, a checkpoint, an ONNX file, a folder of maps, or predictions (.csv, .json)."


@source_options.reads_sources
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help=_SIDE, autocompletion=completion.sources)],
    b: Annotated[
        str,
        typer.Argument(
            metavar="B",
            help="The same, compared with A: differences are B - A.",
            autocompletion=completion.sources,
        ),
    ],
    thresholds_a: Annotated[
        list[str] | None,
        typer.Option("--a", "-a", help="A threshold of A to replace, as thresh=0.24; may be repeated."),
    ] = None,
    thresholds_b: Annotated[
        list[str] | None, typer.Option("--b", "-b", help="A threshold of B to replace; may be repeated.")
    ] = None,
    images: source_options.LabelledImages = None,
    labels: source_options.Labels = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder for a CSV of all images, and pictures of those that changed most."
        ),
    ] = None,
    json: options.Json = False,
    *,
    opening: SourceOptions,
) -> None:
    """Compare two detectors, or one at two configurations, on the same images.

    Every difference is B - A, with the standard error and 95 % interval of a paired bootstrap over images.
    How ONNX files and maps are read holds for both sides.

    Examples:

      optdet compare quickstart:0 quickstart

      optdet compare quickstart quickstart -b box_thresh=0.4 --out changed

      optdet compare old.csv new.csv --labels val/labels.json --images val/images

      optdet compare quickstart new.csv --json

      optdet compare maps maps -b thresh=0.24 --images val/images --labels val/labels.json
    """
    from optdet.cli.compare_tables import comparison_tables
    from optdet.cli.progress import image_bar
    from optdet.cli.tables import print_json
    from optdet.evaluation.comparison import compare as compare_detections
    from optdet.evaluation.parallel import map_workers
    from optdet.tuning.compared import open_sides
    from optdet.tuning.side import Asked

    if out is not None:
        from optdet.tuning.postprocess_places import require_writable

        require_writable(out, "--out")
    with image_bar("reading maps") as on_image:
        sides = open_sides(
            Asked(a, thresholds_a or ()),
            Asked(b, thresholds_b or ()),
            images=images,
            labels=labels,
            options=opening,
            workers=map_workers(),
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
