"""Early termination of a W&B sweep as a pruner. Its iterations are the epochs here.

W&B's hyperband compares all runs at the same iterations: ``min_iter``, ``eta * min_iter``, ``eta**2 *
min_iter``, ...; or, counted from the end, ``max_iter / eta``, ``max_iter / eta**2``, ... down to ``max_iter /
eta**s``.
Optuna's starts at ``min_epochs`` alike, but lets a part of the trials pass the first rungs unseen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from optdet.errors import OptdetError

_ETA = 3
Say = Callable[[str, str, str, Sequence[str]], None]
"""Takes their name, ours, the value and what was decided."""


def read_stopping(stopping: Any, where: str, say: Say) -> dict[str, Any]:
    """The pruner of a study, from what stands under ``early_terminate``; each decision is said."""
    if stopping is None:
        say("early_terminate", "pruner.name", "none", ["the sweep stops no run early"])
        return {"name": "none"}
    where = f"{where}: early_terminate"
    if not isinstance(stopping, dict) or stopping.get("type") != "hyperband":
        raise OptdetError("only {type: hyperband, ...} is known", where=where)
    eta = _number(stopping.get("eta", _ETA), "eta", where)
    min_iter, max_iter, n_rungs = (stopping.get(key) for key in ("min_iter", "max_iter", "s"))
    whole_eta = max(2, round(eta))
    if min_iter is not None:
        first = _number(min_iter, "min_iter", where)
        notes = [f"W&B compares at {_sequence(first, eta)}"]
        if n_rungs is not None or max_iter is not None:
            notes.append("s and max_iter say nothing beside min_iter")
    elif max_iter is not None and n_rungs is not None:
        last, rungs = _number(max_iter, "max_iter", where), _number(n_rungs, "s", where)
        if rungs > 30:
            raise OptdetError(f"s is {rungs:g}: at most 30 make sense", where=where)
        first = last / eta ** int(rungs)
        notes = [f"W&B compares at {_sequence(first, eta, last)}, counted from max_iter {last:g}"]
    else:
        raise OptdetError("hyperband needs min_iter, or max_iter and s", where=where)
    epochs = max(1, round(first))
    shown = ", ".join(f"{key} {value}" for key, value in stopping.items() if key != "type")
    notes.append("Optuna's hyperband, in which some trials pass the first of these unseen")
    if whole_eta != eta:
        notes.append(f"eta {eta:g} rounded")
    if epochs != first:
        notes.append(f"{first:g} epochs rounded")
    say("early_terminate", "pruner", f"{shown} -> min_epochs {epochs}, eta {whole_eta}", notes)
    return {"name": "hyperband", "min_epochs": epochs, "eta": whole_eta}


def _sequence(first: float, eta: float, end: float = math.inf) -> str:
    rungs = [first * eta**power for power in range(3)]
    shown = [f"{rung:g}" for rung in rungs if rung < end * (1 - 1e-9)]
    return ", ".join(shown) + (", ..." if rungs[-1] * eta < end * (1 - 1e-9) else "")


def _number(value: Any, key: str, where: str) -> float:
    if type(value) not in (int, float) or not 1 <= value <= 1e6 or (key == "eta" and value <= 1):
        raise OptdetError(f"{key} is {value!r}", where=where, fix="give a number from 1 on; eta above 1")
    return float(value)
