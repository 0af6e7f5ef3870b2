"""What an ONNX file says of itself: its ``metadata_props``, names and texts that any program can read.

Read from the file's bytes, without onnx or onnxruntime, which are extras and take a second to open a large
model: protobuf's wire format is a row of (field number, kind, payload), and what is not wanted is skipped.
``ModelProto.metadata_props`` is field 14, a message of ``key`` (1) and ``value`` (2).
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from optdet.config import DataConfig
from optdet.ensemble_config import ThresholdsInUse
from optdet.errors import OptdetError
from optdet.inference.onnx_options import OnnxOptions
from optdet.structures import Thresholds
from optdet.validation import validate

FORMAT = 1
"""Of the properties that `optdet export` writes; a file of a higher one is refused."""

_METADATA_PROPS, _KEY, _VALUE = 14, 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10
_MAX_PROPERTY_BYTES = 2**24


@dataclass(frozen=True, slots=True)
class ExportedReading:
    """How a file that `optdet export` wrote is read, and the thresholds in use."""

    options: OnnxOptions
    thresholds: Thresholds


def read_properties(path: Path) -> dict[str, str]:
    """The properties of a model file; none of a file that is no ONNX model."""
    with path.open("rb") as file:
        try:
            entries = [io.BytesIO(entry) for entry in _payloads(file, _METADATA_PROPS)]
            return {_text(entry, _KEY): _text(entry, _VALUE) for entry in entries}
        except ValueError:  # whoever runs the model says what is wrong with it
            return {}


def exported_reading(path: Path) -> ExportedReading | None:
    """None for another program's model; OptdetError for properties of a newer optdet, or changed ones."""
    properties = read_properties(path)
    if "optdet" not in properties:
        return None
    version = _property(properties, "optdet_format", path)
    if version != FORMAT:
        raise OptdetError(
            f"exported in format {version}; this optdet reads format {FORMAT}",
            where=str(path),
            fix="upgrade optdet",
        )
    seen = _property(properties, "preprocessing", path)
    chosen = _property(properties, "thresholds", path)
    try:
        data = validate(
            DataConfig, {name: seen[name] for name in ("size", "pad", "interpolation")}, str(path)
        )
        thresholds = validate(ThresholdsInUse, chosen, str(path)).as_thresholds()
    except (KeyError, TypeError, ValueError):
        raise _changed(path, "preprocessing and thresholds") from None
    options = OnnxOptions(
        mean=(0.0,),
        std=(1.0,),
        size=data.size,
        pad=data.pad,
        activation="none",
        interpolation=data.interpolation,
        raw_pixels=True,
    )
    return ExportedReading(options, thresholds)


def _property(properties: dict[str, str], name: str, path: Path) -> Any:
    try:
        return json.loads(properties[name])
    except (KeyError, ValueError, RecursionError):
        raise _changed(path, name) from None


def _changed(path: Path, what: str) -> OptdetError:
    return OptdetError(
        f"its metadata were changed: {what} cannot be read",
        where=str(path),
        fix="export the detector again: optdet export",
    )


def _text(message: BinaryIO, number: int) -> str:
    """The last value of a field, as protobuf has it; ValueError for bytes that are no text."""
    message.seek(0)
    text = b""
    for payload in _payloads(message, number):
        text = payload
    return text.decode("utf-8")


def _payloads(file: BinaryIO, wanted: int) -> Iterator[bytes]:
    """Those of one field of a message, in their order; ValueError for what is no protobuf message."""
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    while file.tell() < end:
        number, kind = divmod(_varint(file), 8)
        if kind == _VARINT:
            _varint(file)
            continue
        sizes = {_FIXED64: 8, _FIXED32: 4}
        if kind != _BYTES and kind not in sizes:
            raise ValueError(f"wire type {kind}")
        length = sizes[kind] if kind in sizes else _varint(file)
        if length > end - file.tell():
            raise ValueError("cut off")
        if kind == _BYTES and number == wanted and length <= _MAX_PROPERTY_BYTES:
            yield file.read(length)
        else:
            file.seek(length, io.SEEK_CUR)


def _varint(file: BinaryIO) -> int:
    """Seven bits a byte, the lowest first; a negative number takes all ten bytes."""
    value = 0
    for shift in range(0, 7 * _MAX_VARINT_BYTES, 7):
        byte = file.read(1)
        if not byte:
            raise ValueError("cut off")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("a number of more than 64 bits")
