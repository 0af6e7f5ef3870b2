"""Where a model runs, and in which precision."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager

import torch

from optdet.errors import OptdetError
from optdet.phrases import counted


def choose_device(name: str) -> torch.device:
    """``auto`` is CUDA where there is a card, else the CPU. A card that is named by number becomes torch's
    current one: pinned memory, streams and events are that one's, and would open a context on card 0 too.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise _unknown(name) from None
    if device.type not in ("cpu", "cuda"):
        raise _unknown(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise OptdetError("no CUDA device can be used here", where=f"device={name}", fix="device=auto or cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise OptdetError(f"there are {torch.cuda.device_count()} CUDA devices", where=f"device={name}")
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    return device


class CardLost(OptdetError):
    """A CUDA device that refuses everything that this process asks, as after an illegal access; another
    process may well use it."""


def is_lost(device: torch.device) -> bool:
    """Whether a device refuses to work for this process for good, asked of it after an error."""
    if device.type != "cuda":
        return False
    try:
        torch.cuda.synchronize(device)
    except RuntimeError:
        return True
    return False


def device_text(device: torch.device) -> str:
    """The device as a person knows it: the card's name, or the CPU with torch's threads."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"{device.type}, {counted(torch.get_num_threads(), 'thread')}"


def _unknown(name: str) -> OptdetError:
    return OptdetError(f"{name!r} is not a device", where="device", fix="give auto, cpu, cuda or cuda:1")


def amp_dtype(device: torch.device, amp: bool) -> torch.dtype | None:
    """bfloat16 where the card has it, else float16; None (float32) on the CPU or without AMP."""
    if not amp or device.type != "cuda":
        return None
    # Not is_bf16_supported: it says yes of cards that emulate it, whose cuDNN has no convolutions for it.
    has_it = torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)
    return torch.bfloat16 if has_it else torch.float16


def autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[object]:
    return contextlib.nullcontext() if dtype is None else torch.autocast(device.type, dtype=dtype)
