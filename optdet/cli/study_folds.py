"""``optdet study folds``, the folds of a study side by side; and what ``study create --folds`` makes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optdet.cli import completion, options
from optdet.phrases import counted, numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optdet.structures import Sample, Thresholds
    from optdet.study_config import StudyConfig
    from optdet.tuning.fold_report import FoldReport, Ranked
    from optdet.tuning.fold_scores import PooledScores
    from optdet.tuning.fold_source import OutOfFold
    from optdet.tuning.study import Database, TrialOrigin

_CHOSEN = {
    "fixed": "weights are those of the last update: no image had a say in when to stop "
    "(train.checkpoint: fixed)",
    "best": "each fold kept the epoch that scored best on the images it holds out, which inflates every "
    "score here (train.checkpoint: best)",
}

_NOT_RANKED = (
    "not ranked: folds hold out different images; for a ranking give images that all of them held out, "
    "--images and --labels"
)


def study_of_folds(
    database: Database,
    folds: Path,
    file: str | None,
    source: str | None,
    overrides: list[str],
    *,
    name: str | None,
    data_root: str | None,
) -> tuple[StudyConfig, TrialOrigin | None]:
    """What ``study create --folds`` makes: of the settings of a study's trial, which is named, or of a config
    file."""
    from optdet.tuning.fold_study import base_of_config, base_of_trial, plan_fold_study
    from optdet.tuning.study_source import find_source

    if (file is None) == (source is None):
        raise typer.BadParameter("give either --from STUDY or a config file", param_hint="--folds")
    root, data_dir = Path(data_root or ""), database.places.data_dir
    if source is not None:
        study, trial = find_source(database, source)
        base, stem = base_of_trial(study, trial), study.name
    else:
        base, stem = (
            base_of_config(Path(file or ""), data_root=root, data_dir=data_dir),
            Path(file or "").stem,
        )
    for note in base.notes:
        typer.echo(f"note: {note}", err=True)
    planned = plan_fold_study(
        folds,
        base,
        name=name or f"{stem}-folds",
        data_root=root,
        data_dir=data_dir,
        overrides=overrides,
    )
    typer.echo(f"{planned.description}, {counted(planned.config.train.epochs, 'epoch')} at most", err=True)
    return planned, base.origin


def folds(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="A study of folds; the newest unfinished one if left out.",
            show_default=False,
            autocompletion=completion.studies,
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option("--images", help="Rank the folds on these images, which none of them has learnt from."),
    ] = None,
    labels: Annotated[Path | None, typer.Option("--labels", help="Their labels.")] = None,
    rank: Annotated[
        bool, typer.Option("--rank/--no-rank", help="On the validation images that were kept apart.")
    ] = True,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for a picture and a CSV of all images.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1.")] = "auto",
    json: options.Json = False,
    storage: options.Storage = None,
    root: options.Root = None,
) -> None:
    """Show every fold, the worst, mean and spread, and the score of all images out of fold.

    Thresholds are tuned on the pooled maps, each by the detector that held its image out; predict and other
    commands take them for the source STUDY:oof. Folds are ranked only on images that all of them held out.

    Examples:

      optdet study folds

      optdet study folds mine-folds --json

      optdet study folds mine-folds --images test/images --labels test/labels.json
    """
    from optdet.cli.tables import print_json
    from optdet.tuning.fold_members import find_fold_study
    from optdet.tuning.fold_report import fold_report
    from optdet.tuning.fold_source import judge_samples, open_out_of_fold
    from optdet.tuning.postprocess_places import require_writable
    from optdet.tuning.source import SourceOptions
    from optdet.tuning.study import load_study, open_database

    if (images is None) != (labels is None):
        raise typer.BadParameter("--images and --labels go together")
    database = open_database(storage, root)
    found = find_fold_study(database, name)
    if name is None and not json:
        typer.echo(f"study {found}", err=True)
    asked = SourceOptions(device, storage, root, say=lambda message: typer.echo(f"note: {message}", err=True))
    opened = open_out_of_fold(load_study(database, found), asked)
    pooled, ranking, n_judged = None, None, 0
    if out is not None:
        require_writable(out, "--out")
    if not opened.missing():
        judged = judge_samples(opened, images, labels) if rank or images is not None else ()
        pooled = _pooled(opened)
        ranking, n_judged = _ranked(opened, judged, pooled.thresholds), len(judged)
    report = fold_report(opened, pooled, ranking, n_judged)
    if json:
        print_json(report.as_json())
    else:
        _tables(report)
    if out is not None:
        _write(opened, pooled, out)


def _pooled(opened: OutOfFold) -> PooledScores:
    """Tuned once: what is kept with the study is shown again."""
    from optdet.cli.progress import image_bar
    from optdet.tuning.fold_report import tune_pooled
    from optdet.tuning.fold_scores import store_scores, stored_scores

    stored = stored_scores(opened.study, opened.members)
    if stored is not None:
        return stored
    with image_bar("reading maps") as on_image:
        scorers = opened.scorers(on_image)
    with image_bar("tuning") as on_trial:
        scores = tune_pooled(opened, scorers, workers=os.cpu_count() or 1, on_trial=on_trial)
    store_scores(opened.study, opened.members, scores)
    return scores


def _ranked(
    opened: OutOfFold, samples: Sequence[Sample], thresholds: Thresholds
) -> tuple[Ranked, ...] | None:
    from optdet.cli.progress import image_bar
    from optdet.evaluation.parallel import map_workers
    from optdet.tuning.fold_report import rank_folds

    if not samples:
        return None
    with image_bar("ranking") as on_image:
        return rank_folds(opened, samples, thresholds, workers=map_workers(), on_image=on_image)


def _write(opened: OutOfFold, pooled: PooledScores | None, out: Path) -> None:
    from optdet.cli.progress import image_bar
    from optdet.tuning.fold_files import write_folds_report
    from optdet.tuning.fold_source import unfinished

    if pooled is None:
        raise unfinished(opened.maps.title, opened.missing())
    with image_bar("reading maps") as on_image:
        scorers = opened.scorers(on_image)
    for line in write_folds_report(opened, scorers, pooled.thresholds, out):
        typer.echo(line, err=True)


def _tables(report: FoldReport) -> None:
    from optdet.cli.tables import pairs
    from optdet.cli.text_table import TextTable, print_table

    states = ["state"] if report.missing else []
    table = TextTable(("fold", "trial", *states, "images", "epochs", "updates", "own", "pooled"))
    for row in report.rows:
        cells = [row.fold, row.trial, *([row.state] if report.missing else []), row.images]
        shown = ["" if cell is None else str(cell) for cell in (*cells, row.epochs, row.updates)]
        table.add_row(*shown, _score(row.own), _score(row.pooled))
    own, pooled = report.summary("own"), report.summary("pooled")
    if own is not None and pooled is not None:
        for label in ("mean", "std"):
            values = [f"{getattr(column, label):.4f}" for column in (own, pooled)]
            table.add_row(label, "", "", "", "", *values)
        table.add_row("worst", "", "", "", "", f"fold {own.worst}", f"fold {pooled.worst}")
    typer.echo(f"{report.study}: {len(report.rows) - len(report.missing)} of {len(report.rows)} folds")
    print_table(table)
    if report.missing:
        typer.echo(f"{numbers('fold', report.missing)} missing: optdet study run {report.study}")
    typer.echo("own: at thresholds tuned on the fold's images; pooled: at those tuned on all folds")
    typer.echo(_CHOSEN[report.checkpoint])
    if report.pooled is not None:
        low, high = report.pooled.interval
        crossfit = report.pooled.hmean_crossfit
        fitted = "" if crossfit is None else f"; cross-fitted {crossfit:.4f}"
        typer.echo(f"thresholds  {pairs(report.pooled.thresholds.as_dict())}")
        typer.echo(
            f"out of fold {report.pooled.hmean:.4f} on {counted(report.pooled.n_images, 'image')}, 95 % "
            f"interval {low:.4f} to {high:.4f}{fitted}"
        )
    _ranking_table(report)


def _ranking_table(report: FoldReport) -> None:
    from optdet.cli.text_table import TextTable, print_table

    if report.ranking is None:
        if not report.missing:
            typer.echo(_NOT_RANKED)
        return
    images = counted(report.n_judged, "image")
    typer.echo(f"\nranked on {images} that all of them held out, at the pooled thresholds")
    table = TextTable(("rank", "fold", "H-mean", "behind the first", "SE", "95 % interval"))
    for place, each in enumerate(report.ranking, start=1):
        behind = each.behind
        low, high = behind.interval
        cells = [f"{behind.difference:+.4f}", f"{behind.standard_error:.4f}", f"{low:+.4f} {high:+.4f}"]
        table.add_row(str(place), str(each.fold), f"{each.hmean:.4f}", *(cells if place > 1 else []))
    print_table(table)


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
