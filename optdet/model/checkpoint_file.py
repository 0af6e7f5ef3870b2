"""The checkpoint file: what ``torch.save`` writes, of plain Python values and tensors alone.

So ``weights_only=True`` reads it and no code in a file is ever run. A file is either whole or not there:
it is written beside its place (``.NAME.<hex>.tmp``), synced, and renamed; a failed save leaves the file
before it untouched. The SHA-256 that saving returns is that of the file's bytes; loading compares it. The
key ``format_version`` belongs to the file and is not part of the payload.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from optdet.atomic import atomic_file
from optdet.errors import OptdetError

FORMAT_VERSION = 1

_VERSION_KEY = "format_version"
_PLAIN_TYPES = (type(None), bool, int, float, str, bytes, torch.Tensor, torch.nn.Parameter)


def save_checkpoint(path: Path, payload: Mapping[str, Any]) -> str:
    """Writes the file and returns the SHA-256 of its bytes, in hexadecimal.

    Raises TypeError naming the key whose value is neither plain nor a tensor (a NumPy number is not), and
    OptdetError when the disk refuses.
    """
    if _VERSION_KEY in payload:
        raise ValueError(f"the key {_VERSION_KEY!r} belongs to the file format")
    for key, value in payload.items():
        _check_plain(value, str(key))
    try:
        with atomic_file(path) as file:
            # Given an open file and not its name, torch writes the same bytes for the same content.
            torch.save({_VERSION_KEY: FORMAT_VERSION, **payload}, file)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, RuntimeError) as error:
        cause = _system_error(error)
        if cause is None:
            raise
        raise OptdetError(
            f"the checkpoint cannot be written ({cause.strerror or cause})",
            where=str(path),
            fix="check the folder and the free space",
        ) from error
    return digest


def _system_error(error: BaseException) -> OSError | None:
    """What the disk said: torch's writer turns its OSError into a RuntimeError of its own, or into two."""
    link: BaseException | None = error
    while link is not None and not isinstance(link, OSError):
        link = link.__cause__ or link.__context__
    return link


def load_checkpoint(path: Path, *, sha256: str | None = None) -> dict[str, Any]:
    """The payload, tensors on the CPU. Raises OptdetError for a file that is missing, damaged (``sha256``
    is that of the saved bytes), no checkpoint, or of a newer format."""
    try:
        with path.open("rb") as file:
            if sha256 is not None and hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise OptdetError(
                    "the checkpoint is damaged: its SHA-256 is not the one it was saved with",
                    where=str(path),
                    fix="restore it from a backup, or train again",
                )
            file.seek(0)
            content = _parse(file, path)
    except OSError as error:
        raise OptdetError(
            f"the checkpoint cannot be read ({error.strerror or error})",
            where=str(path),
            fix="restore it from a backup, or train again" if not path.exists() else "check its rights",
        ) from error
    version = content.pop(_VERSION_KEY)
    if version > FORMAT_VERSION:
        raise OptdetError(
            f"the checkpoint has format {version}; this optdet reads up to {FORMAT_VERSION}",
            where=str(path),
            fix="upgrade optdet",
        )
    return content


def _parse(file: Any, path: Path) -> dict[str, Any]:
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes raise almost anything, an OSError for a bad seek among it
        raise OptdetError(
            "the file is damaged or no checkpoint",
            where=str(path),
            fix="give a checkpoint that optdet saved",
        ) from error
    if not isinstance(content, dict) or type(content.get(_VERSION_KEY)) is not int:
        raise OptdetError(
            "the file is not a checkpoint of optdet",
            where=str(path),
            fix="give a checkpoint that optdet saved",
        )
    return content


def _check_plain(value: Any, where: str) -> None:
    """Exact types: subclasses (NumPy's float64 is a float) are pickled by name, and refused on loading."""
    if type(value) in (dict, OrderedDict):
        for key, item in value.items():
            if type(key) not in (str, int):
                raise TypeError(f"a checkpoint holds str and int keys only: {where} has {key!r}")
            _check_plain(item, f"{where}.{key}")
    elif type(value) in (list, tuple):
        for index, item in enumerate(value):
            _check_plain(item, f"{where}[{index}]")
    elif type(value) not in _PLAIN_TYPES:
        raise TypeError(
            f"a checkpoint holds plain values and tensors only: {where} is a {type(value).__name__}"
        )
