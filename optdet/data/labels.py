"""Label files: which format one is, and its words.

Formats are told by content, never by extension: `label_ufo`, `label_icdar`, `label_paddle` describe them.
Text is UTF-8, with or without a byte-order mark, lines end in LF or CRLF.
"""

from __future__ import annotations

import difflib
from itertools import islice
from pathlib import Path

from optdet.data import label_icdar
from optdet.data.files import MAX_LABEL_BYTES, read_text, require_path, split_lines
from optdet.data.label_file import FORMATS, LabelFile, LabelFormat
from optdet.data.label_icdar import is_row, is_table_row, parse_folder, parse_single, parse_table
from optdet.data.label_paddle import is_line, parse_paddle
from optdet.data.label_ufo import parse_ufo, write_ufo
from optdet.errors import OptdetError

__all__ = ["FORMATS", "LabelFile", "LabelFormat", "detect_format", "read_labels", "write_ufo"]

# So many lines must look wrong before a file is none of the formats: the first rows may be bad ones.
_SNIFFED_LINES = 20
_SNIFFED_FILES = 20


def read_labels(path: Path, *, format: str = "auto", max_bytes: int = MAX_LABEL_BYTES) -> LabelFile:
    """Every usable word of a label file or folder; rows that cannot be used are in ``problems``.

    Raises `OptdetError` where nothing can be read: no such file, another encoding, broken JSON, an unknown
    format, more than ``max_bytes``.
    """
    _check_format(format)
    require_path(path, what="label file")
    if path.is_dir():
        if format in ("auto", "icdar"):
            return _read_folder(path, format, max_bytes)
        raise OptdetError(
            f"a folder, where {format} labels are one file", where=str(path), fix="name the file in it"
        )
    text = read_text(path, max_bytes=max_bytes)
    found = detect_format(text) if format == "auto" else format
    if found == "ufo":
        return parse_ufo(path, text)
    if found == "paddle":
        return parse_paddle(path, text)
    if found == "icdar":
        rows = (line for line in _first_lines(text) if is_row(line) or is_table_row(line))
        return parse_table(path, text) if is_table_row(next(rows, "")) else parse_single(path, text)
    first = next(iter(_first_lines(text)), "")
    begins = f"it begins {first[:40]!r}" if first else "it is empty"
    raise OptdetError(
        f"neither UFO JSON nor ICDAR rows nor PaddleOCR lines: {begins}",
        where=str(path),
        fix="convert it to UFO JSON",
    )


def detect_format(text: str) -> LabelFormat | None:
    """The format of a file's text, or None; a text cut off somewhere is enough."""
    if text.lstrip()[:1] in ("{", "["):
        return "ufo"
    for line in _first_lines(text):
        if is_line(line):
            return "paddle"
        if is_row(line) or is_table_row(line):
            return "icdar"
    return None


def _check_format(format: str) -> None:
    if format == "auto" or format in FORMATS:
        return
    near = difflib.get_close_matches(format, FORMATS, n=1)
    raise OptdetError(
        f"unknown label format {format!r}",
        fix=f"did you mean {near[0]}?" if near else f"use auto, {', '.join(FORMATS)}",
    )


def _read_folder(folder: Path, format: str, max_bytes: int) -> LabelFile:
    if format == "auto":
        for path in label_icdar.label_files(folder)[:_SNIFFED_FILES]:
            if detect_format(read_text(path, max_bytes=max_bytes)) == "paddle":
                raise OptdetError(
                    "a folder, where PaddleOCR labels are one file", where=str(folder), fix=f"name {path}"
                )
    return parse_folder(folder, max_bytes=max_bytes)


def _first_lines(text: str) -> list[str]:
    # Lines of the beginning only: splitting all of a large file for twenty would copy it.
    head = split_lines(text[: 2**20])
    return list(islice((line for line in head if line.strip()), _SNIFFED_LINES))
