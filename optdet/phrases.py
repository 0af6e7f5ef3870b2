"""Numbers and times as people write and read them."""

from __future__ import annotations

import re

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


def counted(number: int, noun: str) -> str:
    """``1 trial``, ``2 trials``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def parse_duration(text: str) -> float | None:
    """Seconds of ``3600``, ``600s``, ``90m`` or ``8h``; None for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    return None if match is None else float(match[1]) * _SECONDS[match[2]]
