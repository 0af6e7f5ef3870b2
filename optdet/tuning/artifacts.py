"""What a trial shows in optuna-dashboard: validation images, the learning curve, the landscape of its
thresholds, scores of each image."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import optuna

from optdet.data.files import write_atomically
from optdet.data.images import read_image
from optdet.data.names import file_stem
from optdet.data.sets import ImageSet
from optdet.drawing.curve import EpochPoint, draw_curve
from optdet.drawing.jpeg import write_jpeg
from optdet.drawing.overlay import draw_overlay
from optdet.evaluation.evaluate import Evaluation
from optdet.evaluation.scorer import ImageScorer
from optdet.structures import Thresholds
from optdet.training.history import EpochRecord
from optdet.tuning.attachments import attach
from optdet.tuning.study import OpenStudy
from optdet.tuning.tried import Tried, draw_tried


@dataclass(frozen=True, slots=True)
class Illustrated:
    """A finished trial as pictures are made of it; ``tried`` is what its threshold tuning tried."""

    evaluation: Evaluation
    scorers: Sequence[ImageScorer]
    images: ImageSet
    thresholds: Thresholds
    tried: Sequence[Tried]
    history: Sequence[EpochRecord]
    run_dir: Path


def attach_artifacts(trial: optuna.Trial, study: OpenStudy, shown: Illustrated) -> None:
    """Make the pictures in the trial's folder and attach them; one that is attached already is left alone.

    Before the trial is told: Optuna attaches nothing to a finished trial.
    """
    pictures = make_pictures(shown, study.config.keep.overlays)
    attach(study.storage, trial, study.places.artifacts_dir, pictures)


def attach_curve(
    trial: optuna.Trial, study: OpenStudy, run_dir: Path, history: Sequence[EpochRecord]
) -> None:
    """Of a trial that was stopped early, which has nothing else to show."""
    attach(study.storage, trial, study.places.artifacts_dir, [_curve(run_dir / "artifacts", history)])


def make_pictures(shown: Illustrated, n_overlays: int) -> list[Path]:
    """The curve, the landscape of thresholds, the table of images (worst first) and the overlays, as files
    in the run's folder."""
    folder = shown.run_dir / "artifacts"
    curve = _curve(folder, shown.history)
    landscape = folder / "landscape.png"
    chosen_ones = [entry for entry in shown.tried if entry.thresholds == shown.thresholds]
    draw_tried(shown.tried, landscape, chosen_ones[0] if chosen_ones else None)
    table = folder / "images.csv"
    _write_table(table, shown.evaluation)
    overlays = [_overlay(shown, index, folder) for index in chosen(shown.evaluation, n_overlays)]
    return [curve, landscape, table, *overlays]


def _curve(folder: Path, history: Sequence[EpochRecord]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "curve.png"
    draw_curve([epoch_point(record) for record in history], path)
    return path


def chosen(evaluation: Evaluation, n_overlays: int) -> list[int]:
    """Which images are drawn: half of them the worst, half the same in every trial (evenly by name)."""
    n_images = len(evaluation.names)
    n_fixed = min(n_overlays // 2, n_images)
    fixed = [int(index) for index in np.linspace(0, n_images - 1, n_fixed).round()] if n_fixed else []
    worst = [int(index) for index in np.argsort(evaluation.hmeans, kind="stable")]
    rest = [index for index in worst if index not in fixed]
    return [*fixed, *rest][: min(n_overlays, n_images)]


def _overlay(shown: Illustrated, index: int, folder: Path) -> Path:
    sample, scorer = shown.images.samples[index], shown.scorers[index]
    detector = scorer.detector
    hmean = shown.evaluation.hmeans[index]
    picture = draw_overlay(
        read_image(sample.image_path),
        words=sample.words,
        detections=detector.detect(shown.thresholds),
        prob_map=detector.letterbox.map_to_image(detector.prob_map),
        title=f"{sample.name}   H-mean {hmean:.4f}",
    )
    path = folder / f"{index:04d}-{file_stem(sample.name)}.jpg"
    write_jpeg(path, picture)
    return path


def epoch_point(record: EpochRecord) -> EpochPoint:
    losses = {"prob": record.prob_loss, "thresh": record.thresh_loss, "binary": record.binary_loss}
    # A folder of images may be called "prob" as well.
    losses |= {f"source {source.name}": source.loss for source in record.sources if source.loss is not None}
    return EpochPoint(
        epoch=record.epoch, losses=losses, hmean=record.hmean, lr=record.lr, seconds=record.seconds
    )


def _write_table(path: Path, evaluation: Evaluation) -> None:
    rows = evaluation.image_rows()
    text = StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(
        {key: f"{value:.4f}" if isinstance(value, float) else value for key, value in row.items()}
        for row in rows
    )
    write_atomically(path, text.getvalue().encode())
