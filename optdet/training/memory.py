"""The most memory that was held, of the card or on the CPU of the process; whether a card had too little."""

from __future__ import annotations

import re
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_FULL = (
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    # Of a convolution each of whose algorithms found no room for its workspace.
    "unable to find an engine to execute this computation",
)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a card had too little memory, of which not only torch's own error tells."""
    return isinstance(error, torch.cuda.OutOfMemoryError) or any(text in str(error) for text in _FULL)


def forget_peak(device: torch.device) -> None:
    """Count from now on."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        _CLEAR.write_text("5")
    except OSError:  # no Linux, or not allowed: then the process's whole life counts
        return


def peak_bytes(device: torch.device) -> int | None:
    """On CUDA what torch had allocated; on the CPU the process's resident memory, with all that it has
    loaded, None where the system does not tell.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        found = re.search(r"^VmHWM:\s*(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    except OSError:
        return None
    return None if found is None else int(found[1]) * 1024
