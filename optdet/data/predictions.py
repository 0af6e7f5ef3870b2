"""Prediction files: the polygons found in each image, as CSV or as UFO JSON.

CSV has the columns ``filename,polygons``; points of a polygon are ``x y x y ...``, polygons are parted by
``|``, and an image without any has an empty second column. Polygons are float64 (N, 2) in image pixels.
Whole numbers are written without a point, others as the shortest text that reads back as the same float64,
so nothing is lost.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from optdet.data.files import read_text, require_path, split_lines, write_atomically
from optdet.data.label_file import LabelCollector, polygon_from
from optdet.data.label_json import BadWord
from optdet.data.label_ufo import encode_ufo, parse_ufo
from optdet.data.labels import detect_format
from optdet.data.names import unreadable_name
from optdet.errors import OptdetError
from optdet.structures import FloatArray, Problem, Word

HEADER = "filename,polygons"


@dataclass(frozen=True, slots=True)
class ScannedPredictions:
    """What a file holds: polygons by NFC image name, in the file's order, and the rows that cannot be read.
    An image whose row cannot be read has a place and no polygons.

    ``places`` says where an image stands, as a problem names it: after its line in a CSV, by its key in JSON.
    """

    polygons: Mapping[str, list[FloatArray]]
    places: Mapping[str, str]
    problems: tuple[Problem, ...]


def write_predictions(path: Path, predictions: Mapping[str, Sequence[ArrayLike]]) -> bytes:
    """CSV or JSON by the extension; written at once or not at all. What was written."""
    content = encode_predictions(path, predictions)
    write_atomically(path, content)
    return content


def encode_predictions(path: Path, predictions: Mapping[str, Sequence[ArrayLike]]) -> bytes:
    """The bytes of a file of this name."""
    for name in predictions:
        if reason := unreadable_name(name):
            raise OptdetError(reason, where=str(path), fix="rename the image")
    polygons = {name: [_as_points(path, name, p) for p in found] for name, found in predictions.items()}
    if path.suffix.lower() == ".csv":
        return _csv_text(polygons).encode()
    if path.suffix.lower() == ".json":
        return encode_ufo({name: [Word(polygon) for polygon in found] for name, found in polygons.items()})
    raise OptdetError(
        f"predictions are .csv or .json, not {path.suffix or 'a file without extension'!r}",
        where=str(path),
        fix="name the file .csv or .json",
    )


def _as_points(path: Path, name: str, polygon: ArrayLike) -> FloatArray:
    points = np.asarray(polygon, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise OptdetError(
            f"a polygon of {name} is not (N, 2) finite numbers", where=str(path), fix="check the predictions"
        )
    return points


def _csv_text(polygons: Mapping[str, Sequence[FloatArray]]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(HEADER.split(","))
    for name, found in polygons.items():
        rows.writerow([name, "|".join(" ".join(map(_number, p.ravel().tolist())) for p in found)])
    return text.getvalue()


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


def read_predictions(path: Path) -> dict[str, list[FloatArray]]:
    """Polygons by NFC image name, in the file's order. Any row that cannot be read is an `OptdetError`: a
    score without it would be another file's score.
    """
    found = scan_predictions(path)
    _refuse(path, found.problems)
    return dict(found.polygons)


def scan_predictions(path: Path) -> ScannedPredictions:
    """The same with the rows that cannot be read beside it; OptdetError for what is no prediction file."""
    require_path(path, what="prediction file")
    if path.is_dir():
        raise OptdetError(
            "a folder, not a prediction file", where=str(path), fix="name the .csv or .json in it"
        )
    return parse_predictions(path, read_text(path))


def parse_predictions(path: Path, text: str) -> ScannedPredictions:
    """Text as that of a file; ``path`` is what problems name."""
    if detect_format(text) != "ufo":
        return _parse_csv(path, text)
    labels = parse_ufo(path, text, make_word=_json_polygon)
    return ScannedPredictions(
        polygons={name: [word.polygon for word in words] for name, words in labels.words.items()},
        places={name: f"images/{name}" for name in labels.words},
        problems=labels.problems,
    )


def _refuse(path: Path, problems: Sequence[Problem]) -> None:
    if problems:
        more = f" (and {len(problems) - 1} more bad rows)" if len(problems) > 1 else ""
        raise OptdetError(
            f"{problems[0].reason}{more}", where=f"{path}:{problems[0].where}", fix="write the file again"
        )


def _json_polygon(fields: dict[str, Any]) -> Word | BadWord:
    # One point is enough to be read: `check_predictions` says what a submission may not hold.
    polygon = polygon_from(fields["points"], min_points=1)
    return BadWord(polygon) if isinstance(polygon, str) else Word(polygon)


def _parse_csv(path: Path, text: str) -> ScannedPredictions:
    lines = split_lines(text)
    if lines[0].replace('"', "").replace(" ", "").lower() != HEADER:
        raise OptdetError(
            f"not a prediction file: it begins {lines[0][:40]!r}",
            where=f"{path}:1",
            fix=f"the first line of a CSV is {HEADER}; JSON begins with {{",
        )
    rows = LabelCollector(path)
    found: dict[str, list[FloatArray]] = {}
    places: dict[str, str] = {}
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        # Polygons hold no comma, so the last one parts the columns; `csv` would stop at cells of 128 KiB.
        name, comma, cell = line.rpartition(",")
        image = rows.image(_unquoted(name), str(number)) if comma else None
        polygons = _polygons_of(cell.strip().strip('"'))
        if not comma:
            rows.problem(str(number), f"no comma; expected {HEADER}")
        elif isinstance(polygons, str):
            rows.problem(str(number) if image is None else f"{number}, {image}", polygons)
        elif image is not None:
            found[image] = polygons
        if image is not None:
            places[image] = f"{number}, {image}"
    return ScannedPredictions(found, places, rows.finish("ufo").problems)


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if len(name) > 1 and name[0] == name[-1] == '"' else name


def _polygons_of(cell: str) -> list[FloatArray] | str:
    polygons = []
    for index, text in enumerate(cell.split("|") if cell else [], start=1):
        try:
            values = [float(value) for value in text.split()]
        except ValueError as error:
            return f"polygon {index}: {error}"
        if len(values) % 2 or not values:
            return f"polygon {index}: {len(values)} numbers, expected pairs of x and y"
        polygon = polygon_from([list(p) for p in zip(values[::2], values[1::2], strict=True)], min_points=1)
        if isinstance(polygon, str):
            return f"polygon {index}: {polygon}"
        polygons.append(polygon)
    return polygons
