"""``optdet postprocess tune``: thresholds of a frozen detector."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optdet.cli import options, source_options

if TYPE_CHECKING:
    from optdet.config import TuneConfig
    from optdet.structures import Metric, Thresholds
    from optdet.tuning.postprocess_study import PostprocessStudy
    from optdet.tuning.source import OpenSource, SourceOptions

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Thresholds of a frozen detector."""


@app.command()
def tune(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help=source_options.SOURCE_HELP)],
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
    thresh: Annotated[str | None, typer.Option("--thresh", help="LOW:HIGH or LOW:HIGH:STEP.")] = None,
    box_thresh: Annotated[str | None, typer.Option("--box-thresh", help="LOW:HIGH or LOW:HIGH:STEP.")] = None,
    unclip_ratio: Annotated[
        str | None, typer.Option("--unclip-ratio", help="LOW:HIGH or LOW:HIGH:STEP.")
    ] = None,
    polygons: Annotated[
        bool | None,
        typer.Option("--polygons/--quads", help="Search polygons too, or quads alone.", show_default="quads"),
    ] = None,
    select: Annotated[
        str | None, typer.Option("--select", help="robust or best: what is recommended.")
    ] = None,
    metric: Annotated[
        str,
        typer.Option("--metric", help="competition, official or iou: what thresholds are tuned for."),
    ] = "competition",
    constraint: Annotated[
        str | None, typer.Option("--constraint", help="recall>=0.955; also precision, boxes, and <=.")
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
    workers: Annotated[int, typer.Option("--workers", min=0, help="Threads; 0: one a processor.")] = 0,
    mean: source_options.Mean = None,
    std: source_options.Std = None,
    size: source_options.Size = 1024,
    channels: source_options.ChannelOrder = "rgb",
    pad: source_options.Padding = "center",
    activation: source_options.OutputActivation = "auto",
    placement: source_options.Placement = "auto",
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1.")] = "auto",
    json: options.Json = False,
    storage: options.Storage = None,
    root: options.Root = None,
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
    from optdet.tuning.postprocess_output import (
        draw_landscapes,
        write_config,
        write_landscapes,
        write_submissions,
    )
    from optdet.tuning.postprocess_places import check_places
    from optdet.tuning.source import labelled_samples, open_source, scorers_of
    from optdet.tuning.task import TuningTask
    from optdet.tuning.thresholds import tune_thresholds

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
    bound = None if constraint is None else Constraint.parse(constraint)
    tuned_for = _metric(metric)
    opened = open_source(source, opening)
    ranges = {"thresh": thresh, "box_thresh": box_thresh, "unclip_ratio": unclip_ratio}
    search = _search(opened, settings or [], ranges, polygons=polygons, select=select)
    named = _candidates(candidates, phase, opened)
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
        _say(f"wrote {path}" for path in write_landscapes(report.landscapes, out))
        _say(f"wrote {path}" for path in draw_landscapes(report, out))
    if write is not None:
        write_config(report.entry(report.selected), opened.config, write, force=force)
        _say([f"wrote {write}: the {report.selected} thresholds"])
    if kept is not None:
        _say([f"study {kept.complete(report)}: optdet dashboard"])
    if test_images is not None and out is not None:
        chosen = report.candidates or (report.entry(report.selected),)
        with image_bar("predicting") as on_image:
            written = write_submissions(chosen, opened, test_images, out, on_image)
        _say(written)


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line, err=True)


def _keep_study(options: SourceOptions, title: str) -> PostprocessStudy:
    # Not above: a tuning that keeps no study needs neither Optuna nor a database.
    from optdet.tuning.postprocess_study import PostprocessStudy
    from optdet.tuning.study import open_database

    database = open_database(options.storage, options.root, create=True)
    return PostprocessStudy(database, title, options.say)


def _search(
    opened: OpenSource,
    settings: list[str],
    ranges: dict[str, str | None],
    *,
    polygons: bool | None,
    select: str | None,
) -> TuneConfig:
    """The search of the source's config, with what the options change; quads alone where no config says
    more."""
    from optdet.config import TuneConfig
    from optdet.config_io import parse_override, set_dotted, validate
    from optdet.errors import OptdetError
    from optdet.tuning.sweep_space import lattices

    tree = (
        opened.config.postprocess.tune.model_dump(mode="json")
        if opened.config
        else TuneConfig().model_dump(mode="json")
    )
    if polygons is not None or opened.config is None:
        tree["space"]["use_polygon"] = {
            "type": "categorical",
            "choices": [False, True] if polygons else [False],
        }
    for name, text in ranges.items():
        if text is not None:
            tree["space"][name] = _range(name, text)
    for text in settings:
        name, value = parse_override(text)
        tree = set_dotted(tree, name, value)
    if select is not None:
        tree["select"] = select
    search = validate(TuneConfig, tree, "the search")
    if search.method == "none":
        raise OptdetError(
            "method none searches nothing", where="--set method", fix="use exhaustive, tpe or random"
        )
    if search.method == "exhaustive":
        lattices(search, opened.thresholds)  # before maps are read: whether it can be swept
    return search


def _metric(name: str) -> Metric:
    from optdet.errors import OptdetError
    from optdet.structures import METRICS

    for metric in METRICS:
        if name == metric:
            return metric
    raise OptdetError(f"{name!r} is no metric", where="--metric", fix=f"they are {', '.join(METRICS)}")


def _range(name: str, text: str) -> dict[str, object]:
    from optdet.errors import OptdetError

    try:
        numbers = [float(part) for part in text.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 3):
        raise OptdetError(
            f"{text!r} is not a range",
            where=f"--{name.replace('_', '-')}",
            fix="write LOW:HIGH or LOW:HIGH:STEP, as 0.2:0.4",
        )
    return {"type": "float", **dict(zip(("low", "high", "step"), numbers, strict=False))}


def _candidates(path: Path | None, phase: int | None, opened: OpenSource) -> dict[str, Thresholds]:
    from optdet.candidates_config import CandidatesConfig
    from optdet.config import PostprocessConfig
    from optdet.config_io import validate
    from optdet.errors import OptdetError
    from optdet.settings_yaml import read_mapping

    if path is None:
        if phase is not None:
            raise OptdetError("--phase is for --candidates", where="--phase", fix="name the file too")
        return {}
    try:
        listed = validate(CandidatesConfig, read_mapping(path), str(path))
        config = opened.config.postprocess if opened.config else PostprocessConfig()
        named = listed.named(opened.thresholds, config, phase)
    except ValueError as error:
        raise OptdetError(str(error), where=str(path)) from None
    if not named:
        raise OptdetError(f"no candidate is of phase {phase}", where=str(path))
    return named
