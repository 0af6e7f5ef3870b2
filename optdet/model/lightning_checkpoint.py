"""A PyTorch Lightning checkpoint, read for its tensors and plain values; nothing in it is ever run.

The file is read with ``weights_only=True``, which builds tensors and plain Python values alone. Lightning and
Hydra leave objects of their own beside them (hyperparameters as OmegaConf trees, paths). For classes of such
packages an empty class of ours stands in: it takes whatever it is given and does nothing, so that the rest
can be read. Any other name in the file, as ``os.system``, stops the reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from optdet.errors import OptdetError

_HOLDERS = re.compile(
    r"(omegaconf|lightning|lightning_fabric|pytorch_lightning|pathlib|argparse)\..+"
    r"|typing\.Any|collections\.defaultdict"
    r"|numpy\.dtype|numpy\.(_core|core)\.multiarray\.(scalar|_reconstruct)|numpy\.ndarray"
    r"|builtins\.(dict|list|tuple|set|int|float|str|bool|bytes|object|complex)"
)
"""Names that a stand-in may take the place of."""
_MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class LightningCheckpoint:
    """``tensors`` are the state dict; ``hyperparameters`` plain values by dotted names, as far as there are.

    ``epoch`` is the number of epochs behind the weights; ``unread`` names the classes that were stood in for.
    """

    tensors: dict[str, Tensor]
    hyperparameters: dict[str, Any]
    epoch: int | None
    version: str | None
    unread: tuple[str, ...]


class _StandIn:
    """In place of an object of another package: keeps what it was made of, and does nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> _StandIn:
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


def read_lightning(path: Path) -> LightningCheckpoint:
    """The content of a file; OptdetError for one that is missing, damaged, not Lightning's, or that only a
    program of its own could read.
    """
    unread = _foreign_names(path)
    try:
        with safe_globals([(_StandIn, name) for name in unread]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes raise almost anything
        raise _unreadable(path) from error
    tensors = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(tensors, Mapping) or not tensors:
        kind = (
            "a checkpoint of optdet: it needs no import"
            if _is_ours(content)
            else "not a Lightning checkpoint"
        )
        raise OptdetError(f"{kind}; there is no `state_dict` in it", where=str(path))
    return LightningCheckpoint(
        tensors={str(name): value for name, value in tensors.items() if isinstance(value, Tensor)},
        hyperparameters=dict(_dotted(content.get("hyper_parameters"))),
        epoch=_count(content.get("epoch")),
        version=_text(content.get("pytorch-lightning_version")),
        unread=tuple(unread),
    )


def _foreign_names(path: Path) -> list[str]:
    """Classes and functions that the file names beyond tensors and plain values; read, not imported."""
    if not path.is_file():
        raise OptdetError("no such checkpoint file", where=str(path), fix="check the path")
    try:
        with path.open("rb") as file:
            names = _names_in(file, path)
    except OSError as error:
        raise OptdetError(f"it cannot be read ({error.strerror or error})", where=str(path)) from error
    refused = [name for name in names if not _HOLDERS.fullmatch(name)]
    if refused:
        raise OptdetError(
            f"it names code ({', '.join(refused[:3])}) that reading it whole would run; nothing was run",
            where=str(path),
            fix="save its tensors alone where it is trusted: torch.save({'state_dict': torch.load(FILE, "
            "weights_only=False)['state_dict']}, NEW)",
        )
    return names


def _names_in(file: BinaryIO, path: Path) -> list[str]:
    try:
        return sorted(get_unsafe_globals_in_checkpoint(file))
    except Exception as error:  # not a zip archive, cut short, or no pickle inside
        raise _unreadable(path) from error


def _unreadable(path: Path) -> OptdetError:
    return OptdetError(
        "damaged, or not a checkpoint that PyTorch saved",
        where=str(path),
        fix="give the .ckpt file that Lightning wrote",
    )


def _is_ours(content: Any) -> bool:
    return isinstance(content, dict) and "format_version" in content


def _dotted(value: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Plain values by dotted names; members of lists by their number. What is none is left out."""
    value = _plain(value)
    members: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(value, Mapping):
        members = iter(value.items())
    elif isinstance(value, list | tuple):
        members = iter(enumerate(value))
    elif prefix and (value is None or type(value) in (bool, int, float, str)):
        yield prefix.removesuffix("."), value
    if depth < _MAX_DEPTH:
        for key, member in members:
            yield from _dotted(member, f"{prefix}{key}.", depth + 1)


def _plain(value: Any) -> Any:
    """What an OmegaConf node holds, as its state keeps it; anything else as it is."""
    for _ in range(_MAX_DEPTH):
        state = value.state if isinstance(value, _StandIn) else None
        if not isinstance(state, Mapping):
            break
        value = state.get("_content", state.get("_val"))
    return value


def _count(epoch: Any) -> int | None:
    """Lightning counts epochs from 0."""
    return epoch + 1 if type(epoch) is int and epoch >= 0 else None


def _text(value: Any) -> str | None:
    return value[:40] if isinstance(value, str) else None
