"""A prediction file against labels: which polygons belong to which image, and what they score.

The images of the labels are scored, each against the words that the labels give it. One without a prediction
counts as empty; a prediction of no labelled image is left out; both are said. Names match as everywhere: in
NFC and NFD, with or without leading folders, by stem where the label format has no extensions.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optdet.data.files import write_atomically
from optdet.data.images import image_size
from optdet.data.label_file import LabelFile
from optdet.data.labels import read_labels
from optdet.data.prediction_check import check_predictions
from optdet.data.prediction_matching import Matched, match_predictions
from optdet.data.predictions import read_predictions
from optdet.data.source import join_source
from optdet.errors import OptdetError
from optdet.evaluation.evaluate import Evaluation, evaluate
from optdet.structures import FloatArray, Problem, Word

MIN_POINTS = 3


@dataclass(frozen=True, slots=True)
class PredictionScores:
    """Scores of a prediction file; ``notes`` are what else its reader should know, a line each."""

    evaluation: Evaluation
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """A scores object, and beside it the interval and the counts of images."""
        return {
            **self.evaluation.scores.as_json(),
            "interval": list(self.evaluation.interval()),
            "images": len(self.evaluation.names),
            "missing": len(self.missing),
            "extra": len(self.extra),
        }

    def remarks(self) -> list[str]:
        """Missing, extra and the notes, for a terminal; nothing where all is in order."""
        counted = [
            (self.missing, "without a prediction, scored as empty"),
            (self.extra, "predicted but not labelled, left out"),
        ]
        said = [f"{len(names)} {_images(names)} {what}: {_few(names)}" for names, what in counted if names]
        return [*said, *self.notes]


@dataclass(frozen=True, slots=True)
class _Labelled:
    """Words by image; ``paths`` of the images where their folder is known."""

    words: Mapping[str, Sequence[Word]]
    paths: Mapping[str, Path]
    notes: list[str]


def score_predictions(
    predictions: Path, labels: Path, *, images: Path | None = None, format: str = "auto"
) -> PredictionScores:
    """Score a file. With ``images``, labelled images that are not in that folder are left out, as training
    leaves them out, and the polygons are checked against the rules of a submission.
    """
    label_file = read_labels(labels, format=format)
    label_file.require_usable()
    labelled = _labelled(label_file, images)
    found = read_predictions(predictions)
    matched = match_predictions(
        labelled.words, found, by_stem=label_file.names_are_stems, file=str(predictions)
    )
    _require_scorable(matched.polygons, predictions)
    notes = labelled.notes + (_faults(matched, labelled.paths, predictions) if images is not None else [])
    return PredictionScores(
        evaluate(labelled.words, matched.polygons), matched.missing, matched.extra, tuple(notes)
    )


def write_image_scores(path: Path, evaluation: Evaluation) -> None:
    """A CSV with a row an image, worst first, every digit of each score."""
    rows = evaluation.image_rows()
    text = io.StringIO()
    table = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_atomically(path, text.getvalue().encode())


def _labelled(label_file: LabelFile, images: Path | None) -> _Labelled:
    if images is None:
        return _Labelled(label_file.words, {}, _row_notes(label_file.problems))
    source = join_source(images, label_file)
    missing = source.missing
    absent = f"{len(missing)} labelled {_images(missing)} not in {images}, left out: {_few(missing)}"
    return _Labelled(
        words={sample.name: sample.words for sample in source.samples},
        paths={sample.name: sample.image_path for sample in source.samples},
        notes=([absent] if missing else []) + _row_notes(source.problems),
    )


def _row_notes(problems: Sequence[Problem]) -> list[str]:
    return [f"{len(problems)} label rows cannot be used, the first: {problems[0]}"] if problems else []


def _require_scorable(polygons: Mapping[str, Sequence[FloatArray]], file: Path) -> None:
    for name, found in polygons.items():
        for number, polygon in enumerate(found, start=1):
            if len(polygon) < MIN_POINTS:
                raise OptdetError(
                    f"polygon {number} of {name} has {len(polygon)} points, {MIN_POINTS} are the least",
                    where=str(file),
                    fix="write the file again",
                )


def _faults(matched: Matched, paths: Mapping[str, Path], file: Path) -> list[str]:
    sizes = {name: image_size(path) for name, path in paths.items() if name in matched.polygons}
    problems = check_predictions(matched.polygons, sizes, file=str(file))
    return [f"{len(problems)} faults for a submission, the first: {problems[0]}"] if problems else []


def _images(names: Sequence[str]) -> str:
    return "image" if len(names) == 1 else "images"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
