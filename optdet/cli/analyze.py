"""``optdet analyze``: what a detector gets wrong, and what each kind of error costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optdet.cli import completion, options, source_options

if TYPE_CHECKING:
    from optdet.tuning.source import SourceOptions


@source_options.reads_sources
def analyze(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help=f"{source_options.SOURCE_HELP} Or predictions: .csv, .json.",
            autocompletion=completion.sources,
        ),
    ],
    thresholds: Annotated[
        list[str] | None,
        typer.Option("--threshold", "-t", help="A threshold to replace, as thresh=0.24; may be repeated."),
    ] = None,
    images: source_options.LabelledImages = None,
    labels: source_options.Labels = None,
    profile: Annotated[
        str, typer.Option("--profile", help="How CLEval counts: competition or official.")
    ] = "competition",
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for tables as CSV, one of them of all words, and plots."),
    ] = None,
    json: options.Json = False,
    *,
    opening: SourceOptions,
) -> None:
    """Say what a detector gets wrong: by kind, with what each kind costs in H-mean, and where.

    A kind's cost is what the macro H-mean would gain were all errors of that kind repaired, and no others.

    Examples:

      optdet analyze quickstart

      optdet analyze quickstart:3 -t box_thresh=0.5 --out errors

      optdet analyze found.csv --labels val/labels.json --images val/images

      optdet analyze quickstart --profile official --json
    """
    from optdet.cli.analyze_tables import analysis_tables, report_hint
    from optdet.cli.progress import image_bar
    from optdet.cli.tables import print_json
    from optdet.errors import OptdetError
    from optdet.evaluation.parallel import map_workers
    from optdet.structures import PROFILES
    from optdet.tuning.analysis import analyse, write_analysis
    from optdet.tuning.postprocess_places import require_writable
    from optdet.tuning.side import Asked, open_each

    if profile not in PROFILES:
        raise OptdetError(
            f"{profile!r} is no profile", where="--profile", fix=f"write {' or '.join(PROFILES)}"
        )
    if out is not None:
        require_writable(out, "--out")
    with image_bar("reading maps") as on_image:
        opened = open_each(
            [Asked(source, thresholds or ())],
            command="analyze",
            images=images,
            labels=labels,
            options=opening,
            workers=map_workers(),
            on_image=on_image,
        )
    for note in opened.notes:
        typer.echo(f"note: {note}", err=True)
    with image_bar("finding errors") as on_image:
        report = analyse(opened, profile, on_image=on_image)
    if out is not None:
        for line in write_analysis(out, report, opened):
            typer.echo(line, err=True)
    if json:
        print_json({**opened.sides[0].as_json(), **report.as_json()})
    else:
        analysis_tables(opened.sides[0], report)
        if not thresholds:  # a report is at the study's own
            report_hint(opened.sides[0], storage=opening.storage, root=opening.root)
