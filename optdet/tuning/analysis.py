"""The errors of one detector or prediction file, and the files that ``optdet analyze --out`` leaves."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import numpy as np

from optdet.data.files import write_atomically
from optdet.data.images import image_size
from optdet.evaluation.error_buckets import Share
from optdet.evaluation.error_kinds import ERROR_KINDS
from optdet.evaluation.error_report import ErrorReport, error_report
from optdet.evaluation.polygon_measures import Frame, Measures
from optdet.evaluation.truth import Polygon
from optdet.phrases import counted
from optdet.structures import OnImage, Profile
from optdet.tuning.side import OpenSides

_MEASURES: Final = tuple(field.name for field in fields(Measures) if field.name != "image")
_UNMEASURED: Final = ("",) * len(_MEASURES)
_WORD_COLUMNS: Final = (
    *("image", "word", "kind", "characters", "found", "splits", "merged", "overlapped"),
    *("detections", "touching"),
    *_MEASURES,
    *("text", "polygon"),
)
_KIND_COLUMNS: Final = ("kind", "number", "images", "characters", "cost", "cost_low", "cost_high")
_BUCKET_COLUMNS: Final = (
    *("property", "bucket", "low", "high", "words", "missed", "partial", "split", "merged"),
    *("recall", "recall_low", "recall_high", "detections", "false", "false_low", "false_high"),
)
_IMAGE_COLUMNS: Final = (
    *("image", "hmean", "precision", "recall", "words", "detections", "main"),
    *ERROR_KINDS,
)
_DETECTION_COLUMNS: Final = (
    *("image", "detection", "kind", "held", "shared", "merges", "false"),
    *("words", "touching"),
    *_MEASURES,
    "polygon",
)


def analyse(
    opened: OpenSides, profile: Profile = "competition", *, on_image: OnImage | None = None
) -> ErrorReport:
    """The errors of the first side. Places in the images are known where their files are; heights on the
    network's canvas where the side has a config."""
    side = opened.sides[0]
    canvas = None if side.config is None else side.config.data.size
    return error_report(
        opened.words,
        side.polygons,
        frames=_frames(opened.paths, canvas),
        profile=profile,
        on_image=on_image,
    )


def _frames(paths: Mapping[str, Path], canvas: int | None) -> dict[str, Frame]:
    frames = {}
    for name, path in paths.items():
        width, height = image_size(path)
        frames[name] = Frame(width, height, None if canvas is None else canvas / max(width, height))
    return frames


def write_analysis(folder: Path, report: ErrorReport, opened: OpenSides) -> list[str]:
    """Tables as CSV (kinds, buckets, images, words, detections) and plots of the first two. What was written,
    in lines for a person."""
    # Not above: matplotlib takes most of a second, and tables alone need none of it.
    from optdet.drawing.error_plots import draw_buckets, draw_costs

    folder.mkdir(parents=True, exist_ok=True)
    n_words = _write_table(folder / "words.csv", _WORD_COLUMNS, _word_rows(report, opened))
    n_detections = _write_table(
        folder / "detections.csv", _DETECTION_COLUMNS, _detection_rows(report, opened)
    )
    _write_table(folder / "kinds.csv", _KIND_COLUMNS, _kind_rows(report))
    _write_table(folder / "buckets.csv", _BUCKET_COLUMNS, _bucket_rows(report))
    _write_table(folder / "images.csv", _IMAGE_COLUMNS, _image_rows(report))
    draw_costs(report, folder / "kinds.png")
    draw_buckets(report, folder / "buckets.png")
    return [
        f"wrote {folder / 'words.csv'}: {counted(n_words, 'word')}",
        f"wrote {folder / 'detections.csv'}: {counted(n_detections, 'detection')}",
        f"wrote {folder / 'kinds.csv'}, {folder / 'buckets.csv'} and {folder / 'images.csv'}",
        f"drew {folder / 'kinds.png'} and {folder / 'buckets.png'}",
    ]


def _kind_rows(report: ErrorReport) -> Iterator[list[Any]]:
    for kind in report.kinds:
        yield [kind.kind, kind.number, kind.n_images, kind.n_characters, kind.cost, *kind.interval]


def _bucket_rows(report: ErrorReport) -> Iterator[list[Any]]:
    """Of every bucket, also of an empty one; counts of words, shares of characters and of detections."""
    for shown in report.properties:
        for bucket in shown.buckets:
            yield [
                shown.name,
                bucket.label,
                _or_empty(bucket.low),
                _or_empty(bucket.high),
                bucket.n_words,
                bucket.n_missed,
                bucket.n_partial,
                bucket.n_split,
                bucket.n_merged,
                *_share(bucket.recall),
                "" if bucket.false is None else bucket.false.whole,
                *_share(bucket.false),
            ]


def _share(share: Share | None) -> list[Any]:
    """Its value and the ends of its interval, empty where it is not known."""
    if share is None:
        return ["", "", ""]
    return [_or_empty(share.value), *(share.interval or ("", ""))]


def _or_empty(value: float | None) -> float | str:
    return "" if value is None else value


def _image_rows(report: ErrorReport) -> Iterator[list[Any]]:
    for image in report.images:
        values = image.as_json()
        lost = values.pop("characters")
        scores = ("" if value is None else value for value in values.values())
        yield [*scores, *(lost[kind] for kind in ERROR_KINDS)]


def _word_rows(report: ErrorReport, opened: OpenSides) -> Iterator[list[Any]]:
    for image in report.images:
        measured = iter(_measured(image.words))
        words = opened.words[image.name]
        for index, (word, outcome) in enumerate(zip(words, image.errors.words, strict=True)):
            yield [
                image.name,
                index,
                outcome.kind,
                outcome.n_characters,
                outcome.n_found,
                outcome.n_splits,
                int(outcome.merged),
                outcome.n_overlapped,
                _indices(outcome.detections),
                _indices(outcome.touching),
                *(next(measured) if outcome.counts else _UNMEASURED),
                word.text or "",
                _points(word.polygon),
            ]


def _detection_rows(report: ErrorReport, opened: OpenSides) -> Iterator[list[Any]]:
    for image in report.images:
        measured = iter(_measured(image.detections))
        polygons = opened.sides[0].polygons.get(image.name, ())
        for index, (polygon, outcome) in enumerate(zip(polygons, image.errors.detections, strict=True)):
            yield [
                image.name,
                index,
                outcome.kind,
                outcome.n_held,
                outcome.n_shared,
                outcome.n_merges,
                outcome.n_false,
                _indices(outcome.words),
                _indices(outcome.touching),
                *(next(measured) if outcome.counts else _UNMEASURED),
                _points(polygon),
            ]


def _measured(measures: Measures) -> list[list[str]]:
    """What is measured of each polygon, as text, empty where it is not known."""
    columns = np.stack([getattr(measures, name) for name in _MEASURES], axis=1)
    return [["" if np.isnan(value) else f"{value:.6g}" for value in row] for row in columns]


def _indices(values: Sequence[int]) -> str:
    return " ".join(map(str, values))


def _points(polygon: Polygon) -> str:
    return " ".join(f"{value:.10g}" for value in np.asarray(polygon, dtype=np.float64).ravel())


def _write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """How many rows were written."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    n_rows = 0
    for row in rows:
        table.writerow(row)
        n_rows += 1
    write_atomically(path, text.getvalue().encode())
    return n_rows
