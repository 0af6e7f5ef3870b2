"""Numbers and times as people write and read them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import groupby

_MOST_RUNS = 12
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


def out_of(done: int, wanted: int, between: str = " of ") -> str:
    """``7 of 20``; and ``9 of 9`` where 7 were wanted: a study may have more trials than a run asks for."""
    return f"{done}{between}{max(done, wanted)}"


def counted(number: int, noun: str) -> str:
    """``1 trial``, ``2 trials``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def times(number: int) -> str:
    """``once``, ``twice``, ``3 times``."""
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def duration(seconds: float) -> str:
    """``41 s``, ``12 min``, ``3.4 h``, as people say how long something took."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def numbers(noun: str, given: Iterable[int]) -> str:
    """``trial 3``, ``trials 0-2, 5``; of very many the first and the last."""
    ordered = sorted(given)
    runs = [
        [number for _, number in run]
        for _, run in groupby(enumerate(ordered), key=lambda pair: pair[1] - pair[0])
    ]
    shown = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    if len(shown) > _MOST_RUNS:
        shown = [*shown[: _MOST_RUNS - 2], "...", shown[-1]]
    return f"{noun if len(ordered) == 1 else noun + 's'} {', '.join(shown)}"


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Of dotted names the last part, or as many more as tell them apart: ``optimizer.lr`` is ``lr``."""
    given = list(dict.fromkeys(names))
    ends = {name: name.rsplit(".", 1)[-1] for name in given}
    n_parts = 1
    while len(set(ends.values())) < len(given):
        n_parts += 1
        taken = Counter(ends.values())
        ends = {
            name: ".".join(name.split(".")[-n_parts:]) if taken[end] > 1 else end
            for name, end in ends.items()
        }
    return ends


def parse_duration(text: str) -> float | None:
    """Seconds of ``3600``, ``600s``, ``90m`` or ``8h``; None for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    return None if match is None else float(match[1]) * _SECONDS[match[2]]
