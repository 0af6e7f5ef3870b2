"""What ``optdet study folds --out`` leaves in a folder: a table of all images, and a picture of the folds."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from optdet.data.files import write_atomically
from optdet.drawing.fold_strip import draw_fold_strip
from optdet.evaluation.evaluate import Evaluation
from optdet.evaluation.scorer import ImageScorer, evaluate_at
from optdet.structures import Thresholds
from optdet.tuning.fold_source import OutOfFold

TABLE_NAME, PICTURE_NAME = "images.csv", "folds.png"


def write_folds_report(
    opened: OutOfFold, scorers: Sequence[ImageScorer], thresholds: Thresholds, folder: Path
) -> list[str]:
    """``images.csv``, the worst first, and ``folds.png``; what was written, in lines for a person."""
    evaluation = evaluate_at(scorers, thresholds)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / TABLE_NAME, _table(opened, evaluation).encode())
    draw_fold_strip(opened.by_fold(evaluation), folder / PICTURE_NAME)
    return [
        f"wrote {folder / TABLE_NAME}: {len(evaluation.names)} images",
        f"wrote {folder / PICTURE_NAME}",
    ]


def _table(opened: OutOfFold, evaluation: Evaluation) -> str:
    """Every digit of each score."""
    fold_of = dict(zip((s.name for s in opened.pool.samples), opened.pool.fold_of, strict=True))
    rows = [{"fold": fold_of[row["image"]], **row} for row in evaluation.image_rows()]
    text = io.StringIO()
    table = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()
