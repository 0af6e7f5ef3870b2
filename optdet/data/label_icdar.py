"""ICDAR text: a row is ``x1,y1,...,x4,y4`` and then the text, which may hold commas; ``###`` is ignored.

Three layouts: a folder with a ``.txt`` or ``.csv`` file for each image (``gt_NAME.txt``, ``res_NAME.txt``,
``NAME.txt``, ``NAME.jpg.txt``), one such file alone, and one table whose rows begin with the image's file
name.

A text that is quoted as a whole (``"a ""b"" c"``, as CSV quotes) is read without its quotes. A text may
itself be numbers, so eight numbers then text is the rule, whatever follows. Only a row of 16 or more numbers
is a polygon of all of them (as in Total-Text or CTW1500): no text is eight numbers between commas. The place
of a problem is its line, counted from 1.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from optdet.data.files import MAX_LABEL_BYTES, read_text, split_lines
from optdet.data.label_file import IGNORED_TEXT, LabelCollector, LabelFile, polygon_from, usable_word
from optdet.data.names import is_image_name
from optdet.errors import OptdetError
from optdet.structures import Word

PREFIXES = ("gt_", "res_")
SUFFIXES = (".txt", ".csv")
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", re.ASCII)
# Nothing but whole quotes: '"a" or "b"' begins and ends with one too, and means what it says.
_QUOTED = re.compile(r'\s*"((?:[^"]|"")*)"\s*')


def leading_numbers(fields: Sequence[str]) -> int:
    """How many fields, from the first on, are plain finite decimals."""
    for count, value in enumerate(fields):
        if not _NUMBER.fullmatch(value):
            return count
    return len(fields)


def is_row(line: str) -> bool:
    return leading_numbers(line.split(",")) >= 8


def is_table_row(line: str) -> bool:
    """An image's file name and then a row; or the header, whose first column is ``filename``."""
    name, *rest = line.split(",")
    return (is_image_name(name.strip('"')) and leading_numbers(rest) >= 8) or _is_header(line)


def _is_header(line: str) -> bool:
    return line.partition(",")[0].strip().strip('"').lower() == "filename" and line.count(",") >= 8


def label_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))


def image_stem(path: Path, prefix: str) -> str:
    return path.stem.removeprefix(prefix)


def common_prefix(paths: Sequence[Path]) -> str:
    """``gt_`` or ``res_`` where every file has it: an image may be named ``gt_1.jpg`` itself."""
    return next((p for p in PREFIXES if paths and all(path.name.startswith(p) for path in paths)), "")


def parse_folder(folder: Path, *, max_bytes: int = MAX_LABEL_BYTES) -> LabelFile:
    """Words of one file an image; a folder without any is an error."""
    paths = label_files(folder)
    if not paths:
        raise OptdetError(
            "no .txt or .csv label files", where=str(folder), fix="name the label file, or the right folder"
        )
    labels = LabelCollector(folder)
    prefix = common_prefix(paths)
    left = max_bytes
    for path in paths:
        text = read_text(path, max_bytes=left)
        left -= path.stat().st_size
        image = labels.image(image_stem(path, prefix), "1", file=path)
        if image is not None:
            _read_rows(labels, image, path, text)
    return labels.finish("icdar", names_are_stems=True)


def parse_single(path: Path, text: str) -> LabelFile:
    """The one file of one image."""
    labels = LabelCollector(path)
    image = labels.image(image_stem(path, common_prefix([path])), "1")
    if image is not None:
        _read_rows(labels, image, path, text)
    return labels.finish("icdar", names_are_stems=True)


def _read_rows(labels: LabelCollector, image: str, path: Path, text: str) -> None:
    words = []
    for number, line in enumerate(split_lines(text), start=1):
        if line.strip():
            word = _word_of(line.split(","), quoted=True)
            if isinstance(word, Word):
                words.append(word)
            else:
                labels.bad_word(image, str(number), word, file=path)
    labels.add_words(image, words)


def parse_table(path: Path, text: str) -> LabelFile:
    """Rows ``filename,x1,...,y4,text``, with or without a header; an image's rows need not be neighbours."""
    labels = LabelCollector(path)
    images: dict[str, str | None] = {}
    for number, line in enumerate(split_lines(text), start=1):
        if not line.strip() or (number == 1 and _is_header(line)):
            continue
        try:
            # Line by line: a stray quotation mark must not swallow the rows after it.
            name, *fields = next(csv.reader([line]))
        except csv.Error as error:  # a carriage return within the line, a cell of 128 KiB
            labels.problem(str(number), str(error))
            continue
        if name not in images:
            images[name] = labels.image(name, str(number))
        image = images[name]
        if image is None:
            continue
        word = _word_of(fields)
        if isinstance(word, Word):
            labels.add_words(image, [word])
        else:
            labels.bad_word(image, str(number), word)
    return labels.finish("icdar")


def _word_of(fields: Sequence[str], *, quoted: bool = False) -> Word | str:
    """``quoted``: the fields were split at commas alone, so quotes around the text are still there."""
    count = leading_numbers(fields)
    if count < 8:
        found = f"field {count + 1} is {fields[count]!r}" if count < len(fields) else "the row ends"
        return f"{count} numbers, then {found}; expected eight numbers and the text"
    count = count - count % 2 if count >= 16 else 8
    values = [float(value) for value in fields[:count]]
    polygon = polygon_from([list(pair) for pair in zip(values[::2], values[1::2], strict=True)])
    if isinstance(polygon, str):
        return polygon
    # A row that ends in a comma states an empty text, which has no characters; one without states none.
    text = ",".join(fields[count:]) if len(fields) > count else None
    if quoted and text is not None and (whole := _QUOTED.fullmatch(text)):
        text = whole[1].replace('""', '"')
    return usable_word(polygon, text, text is not None and text.strip() == IGNORED_TEXT)
