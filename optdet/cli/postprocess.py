"""``optdet postprocess tune``: thresholds of a frozen detector."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optdet.cli import completion, options, source_options
from optdet.cli.postprocess_options import candidates_from, metric_from, search_from

if TYPE_CHECKING:
    from optdet.tuning.postprocess import PostprocessReport
    from optdet.tuning.postprocess_study import PostprocessStudy
    from optdet.tuning.source import SourceOptions

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Thresholds of a frozen detector."""


@app.command()
@source_options.reads_sources
def tune(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help=source_options.SOURCE_HELP, autocompletion=completion.sources),
    ],
    images: Annotated[
        Path | None,
        typer.Option("--images", help="Folder of images. Default: the study's."),
    ] = None,
    labels: Annotated[Path | None, typer.Option("--labels", help="Their labels.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            help="A setting of the search, as method=tpe or trials=200; repeatable.",
        ),
    ] = None,
    thresh: Annotated[
        str | None, typer.Option("--thresh", help="LOW:HIGH, LOW:HIGH:STEP or one value.")
    ] = None,
    box_thresh: Annotated[
        str | None, typer.Option("--box-thresh", help="LOW:HIGH, LOW:HIGH:STEP or one value.")
    ] = None,
    unclip_ratio: Annotated[
        str | None, typer.Option("--unclip-ratio", help="LOW:HIGH, LOW:HIGH:STEP or one value.")
    ] = None,
    polygons: Annotated[
        bool | None,
        typer.Option(
            "--polygons/--quads",
            help="Search polygons too, or quads alone. Default: as the source.",
            show_default=False,
        ),
    ] = None,
    select: Annotated[
        str | None, typer.Option("--select", help="robust or best: what is recommended.")
    ] = None,
    metric: Annotated[
        str,
        typer.Option("--metric", help="competition, official or iou: what thresholds are tuned for."),
    ] = "competition",
    constraint: Annotated[
        list[str] | None, typer.Option("--constraint", help="recall>=0.955; also precision, boxes, and <=.")
    ] = None,
    candidates: Annotated[
        Path | None, typer.Option("--candidates", help="YAML of named configurations to score beside.")
    ] = None,
    phase: Annotated[int | None, typer.Option("--phase", help="Only the candidates of this phase.")] = None,
    test_images: Annotated[
        Path | None, typer.Option("--test-images", help="Write a checked CSV of these for each candidate.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for landscapes and CSV files.")] = None,
    write: Annotated[
        Path | None, typer.Option("--write", help="Write a config with the recommended thresholds.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the config of --write.")] = False,
    study: Annotated[
        bool | None,
        typer.Option("--study/--no-study", help="Keep an Optuna study.", show_default="for studies"),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of methods tpe and random.")] = 0,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Threads, or processes for polygons; 0: one a processor.")
    ] = 0,
    json: options.Json = False,
    *,
    opening: SourceOptions,
) -> None:
    """Find the thresholds that score best, over a whole lattice, exactly, in seconds.

    The table shows the defaults, the thresholds in use, the best (lucky in part) and the robust ones, which
    hold better on other images; with --out come pictures of the landscape and its data.

    Examples:

    optdet postprocess tune quickstart

    optdet postprocess tune detector.onnx --images val --labels val.json --mean 0.5 --std 0.5 --channels bgr

    optdet postprocess tune maps/ --images val --labels val.json --constraint "recall>=0.955" --out tuned

    optdet postprocess tune maps/ --images val --labels val.json --metric iou

    optdet postprocess tune mine:7 --candidates studies/postproc_nine.yaml --phase 1 --test-images test
    --out csv
    """
    from optdet.cli.postprocess_table import report_table
    from optdet.cli.progress import image_bar
    from optdet.cli.tables import print_json
    from optdet.evaluation.constraint import Constraint
    from optdet.tuning.postprocess import tune_postprocess
    from optdet.tuning.postprocess_output import write_config
    from optdet.tuning.postprocess_places import check_places
    from optdet.tuning.source import labelled_samples, open_source, scorers_of
    from optdet.tuning.submission_predict import submit_entries
    from optdet.tuning.task import TuningTask
    from optdet.tuning.thresholds import tune_thresholds

    bound = Constraint.only(constraint or [])
    tuned_for = metric_from(metric)
    opened = open_source(source, opening)
    ranges = {"thresh": thresh, "box_thresh": box_thresh, "unclip_ratio": unclip_ratio}
    search = search_from(opened, settings or [], ranges, polygons=polygons, select=select)
    named = candidates_from(candidates, phase, opened)
    check_places(opened, out=out, write=write, test_images=test_images, labels=named, force=force)
    samples = labelled_samples(opened, images, labels)
    with image_bar("reading maps") as on_image:
        scorers = scorers_of(opened, samples, on_image=on_image)
    task = TuningTask(
        scorers,
        search,
        opened.thresholds,
        seed=seed,
        metric=tuned_for,
        candidates=named,
        constraint=bound,
    )
    kept = None
    if study or (study is None and opened.labelled is not None):
        kept = _keep_study(opening, opened.title)
    try:
        with image_bar("tuning") as on_trial:
            report = tune_postprocess(
                opened.title,
                task,
                workers=workers or os.cpu_count() or 1,
                on_trial=on_trial,
                find=tune_thresholds if kept is None else kept.tune,
            )
    except KeyboardInterrupt:
        again = (
            "" if kept is None or search.method == "exhaustive" else "; the same command goes on from here"
        )
        typer.echo(f"interrupted{again}", err=True)
        raise typer.Exit(130) from None
    if json:
        print_json(report.as_json())
    else:
        report_table(report)
    # Said one by one: where something fails, what was written before is known.
    if out is not None:
        _write_search(report, out)
    if write is not None:
        write_config(report.entry(report.selected), opened.config, write, force=force)
        _say([f"wrote {write}: the {report.selected} thresholds"])
    if kept is not None:
        _say([f"study {kept.complete(report)}: optdet dashboard"])
    if test_images is not None and out is not None:
        chosen = report.candidates or (report.entry(report.selected),)
        with image_bar("predicting") as on_image:
            lines = submit_entries(
                chosen,
                opened,
                source,
                test_images,
                out,
                words={sample.name: sample.words for sample in samples},
                on_own_images=images is None,
                options=opening,
                on_image=on_image,
            )
            _say(lines)


def _write_search(report: PostprocessReport, out: Path) -> None:
    """The landscape, or what tpe and random tried."""
    from optdet.tuning.postprocess_output import draw_landscapes, write_landscapes, write_tried

    if report.landscapes:
        _say(f"wrote {path}" for path in write_landscapes(report.landscapes, out))
        _say(f"wrote {path}" for path in draw_landscapes(report, out))
    else:
        _say(f"wrote {path}" for path in write_tried(report.tuned.tried, out))


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line, err=True)


def _keep_study(options: SourceOptions, title: str) -> PostprocessStudy:
    # Not above: a tuning that keeps no study needs neither Optuna nor a database.
    from optdet.tuning.postprocess_study import PostprocessStudy
    from optdet.tuning.study import open_database

    database = open_database(options.storage, options.root, create=True)
    return PostprocessStudy(database, title, options.say)
