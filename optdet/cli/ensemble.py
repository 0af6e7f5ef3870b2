"""``optdet ensemble``: several detectors as one, by their maps or by votes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optdet.cli import completion, options, source_options

if TYPE_CHECKING:
    from optdet.tuning.detection_source import DetectionSource
    from optdet.tuning.source import SourceOptions


@source_options.reads_sources
def ensemble(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Studies, trials, checkpoints, ONNX files, folders of maps, ensembles; for votes also "
            "prediction files (.csv, .json). A study over data.fold is all of its folds.",
            autocompletion=completion.sources,
        ),
    ],
    method: Annotated[str, typer.Option("--method", help="maps (their weighted mean) or votes.")],
    weights: Annotated[
        str | None,
        typer.Option("--weights", help="Maps: one a source, as 1,1,2. Default: tuned.", show_default=False),
    ] = None,
    min_votes: Annotated[
        int | None,
        typer.Option(
            "--min-votes",
            help="Votes: members that must agree. Default: tuned, from a majority on (3 of 5).",
            show_default=False,
        ),
    ] = None,
    iou_thresh: Annotated[
        float | None,
        typer.Option(
            "--iou-thresh",
            help="Votes: IoU at which two detections agree. Default: tuned, from 0.5 on.",
            show_default=False,
        ),
    ] = None,
    tta: source_options.Augmentation = None,
    images: Annotated[
        Path | None,
        typer.Option("--images", help="Images to tune on. Default: the studies' validation images."),
    ] = None,
    labels: Annotated[Path | None, typer.Option("--labels", help="Their labels.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            help="A setting of the threshold search, as space.thresh.step=0.01; method=none keeps those in "
            "use (votes); repeatable.",
        ),
    ] = None,
    polygons: Annotated[
        bool | None,
        typer.Option("--polygons/--quads", help="Search polygons too, or quads alone.", show_default="quads"),
    ] = None,
    select: Annotated[
        str | None, typer.Option("--select", help="robust or best: thresholds to take.")
    ] = None,
    test_images: Annotated[
        Path | None, typer.Option("--test-images", help="Folder of images to predict, with --out.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Predictions: FILE.csv or FILE.json.")] = None,
    save: Annotated[
        Path | None, typer.Option("--save", help="Write the ensemble as FILE.yaml, which is a SOURCE.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file of --save.")] = False,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Draw scores and intervals into FILE.png.")
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Threads, or processes for polygons; 0: one a processor.")
    ] = 0,
    json: options.Json = False,
    *,
    opening: SourceOptions,
) -> None:
    """Combine detectors, tune the combination, and say whether it beats its best member.

    Members are tuned alone first. Scores are cross-fitted: nothing chosen on an image is scored on it, but
    for whether tuned weights or votes replace the usual ones. With --tta each view of a detector is one more
    member. How ONNX files and maps are read holds for all members.

    Examples:

    optdet ensemble quickstart:0 quickstart:1 --method maps

    optdet ensemble folds resnet50:4 theirs.csv --method votes --min-votes 3 --images val --labels val.json

    optdet ensemble b4.pt --method maps --tta scale:1152,hflip --images val --labels val.json
    --save configs/ensemble.yaml

    optdet ensemble a.csv b.csv c.csv --method votes --test-images test --out voted.csv
    """
    from optdet.cli.ensemble_options import EnsembleOptions, check_outputs, judging_images
    from optdet.cli.ensemble_table import ensemble_table
    from optdet.cli.progress import image_bar
    from optdet.cli.tables import print_json
    from optdet.data.named_images import require_named
    from optdet.inference.views import parse_views
    from optdet.tuning.ensemble import build_ensemble
    from optdet.tuning.ensemble_members import open_members, require_images
    from optdet.tuning.ensemble_output import as_source, ensemble_config, untuned_vote, write_ensemble
    from optdet.tuning.ensemble_submission import about_ensemble
    from optdet.tuning.submission_predict import Wanted, submit

    asked = EnsembleOptions.of(method, weights, min_votes, iou_thresh)
    check_outputs(test_images=test_images, out=out, save=save, force=force, picture=picture)
    found = open_members(sources, method=asked.method, views=parse_views(tta or ()), options=opening)
    _say(f"note: {note}" for note in found.notes)
    search = asked.search(found.members, settings or [], polygons=polygons, select=select)
    if test_images is not None:
        require_images(found.members, require_named(test_images, None))
    judging = judging_images(found.members, images, labels, predicts=test_images is not None)
    report = None
    if judging.samples is None:
        asked.require_nothing_to_tune(writes=out is not None or save is not None)
        combined: DetectionSource = untuned_vote(found.members, min_votes, iou_thresh)
        _say([f"note: {judging.untuned}, so nothing is tuned or scored"])
    else:
        report = build_ensemble(
            found.members,
            judging.samples,
            method=asked.method,
            search=search,
            weights=asked.weights,
            min_votes=min_votes,
            iou_thresh=iou_thresh,
            workers=workers or os.cpu_count() or 1,
            bar=image_bar,
        )
        _say(f"note: {note}" for note in report.notes)
        combined = as_source(report)
        if json:
            print_json(report.as_json())
        else:
            ensemble_table(report)
    about = about_ensemble(combined, found.members, report, judging.samples or ())
    if picture is not None and report is not None:
        from optdet.tuning.ensemble_picture import draw_ensemble

        draw_ensemble(report, picture)
        _say([f"wrote {picture}"])
    if save is not None:
        head = [report.verdict] if report else [f"{judging.untuned}, so nothing was tuned"]
        config = ensemble_config(combined, found.members, save, opening, about.local)
        write_ensemble(config, save, head)
        _say([f"wrote {save}: {len(found.members)} members; it is a SOURCE"])
    if test_images is not None and out is not None:
        predicted = submit(combined, None, Wanted(test_images, out), about, opening, bar=image_bar)
        _say([*predicted.lines(), *(f"note: {note}" for note in predicted.notes)])


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line, err=True)
