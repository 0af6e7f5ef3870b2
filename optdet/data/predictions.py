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
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from optdet.data.files import read_text, require_path, split_lines, write_atomically
from optdet.data.label_file import LabelCollector, polygon_from
from optdet.data.label_json import BadWord
from optdet.data.label_ufo import parse_ufo, write_ufo
from optdet.data.labels import detect_format
from optdet.data.names import unreadable_name
from optdet.errors import OptdetError
from optdet.structures import FloatArray, Problem, Word

HEADER = "filename,polygons"


def write_predictions(path: Path, predictions: Mapping[str, Sequence[ArrayLike]]) -> None:
    """CSV or JSON by the extension; written at once or not at all."""
    for name in predictions:
        if reason := unreadable_name(name):
            raise OptdetError(reason, where=str(path), fix="rename the image")
    polygons = {name: [_as_points(path, name, p) for p in found] for name, found in predictions.items()}
    if path.suffix.lower() == ".csv":
        write_atomically(path, _csv_text(polygons).encode())
    elif path.suffix.lower() == ".json":
        write_ufo(path, {name: [Word(polygon) for polygon in found] for name, found in polygons.items()})
    else:
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
    require_path(path, what="prediction file")
    if path.is_dir():
        raise OptdetError(
            "a folder, not a prediction file", where=str(path), fix="name the .csv or .json in it"
        )
    text = read_text(path)
    if detect_format(text) == "ufo":
        labels = parse_ufo(path, text, make_word=_json_polygon)
        _refuse(path, labels.problems)
        return {name: [word.polygon for word in words] for name, words in labels.words.items()}
    return _read_csv(path, text)


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


def _read_csv(path: Path, text: str) -> dict[str, list[FloatArray]]:
    lines = split_lines(text)
    if lines[0].replace('"', "").replace(" ", "").lower() != HEADER:
        raise OptdetError(
            f"not a prediction file: it begins {lines[0][:40]!r}",
            where=f"{path}:1",
            fix=f"the first line of a CSV is {HEADER}; JSON begins with {{",
        )
    rows = LabelCollector(path)
    found: dict[str, list[FloatArray]] = {}
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
            rows.problem(str(number), polygons)
        elif image is not None:
            found[image] = polygons
    _refuse(path, rows.finish("ufo").problems)
    return found


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
