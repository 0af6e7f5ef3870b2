"""Workers in processes of their own, to be watched and killed.

Run as a script, it imports everything once and then forks, which is what makes eight workers cheap. Each
line of JSON on its standard input is an order {"url", "role", "study", "total", "n"}: n children are forked,
and each writes one line {"pid", "outcome"}, then sleeps until it is killed. {"reap": pid} collects one.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import optuna
from optuna.trial import TrialState

from optdet.store.engine import close_storage, open_storage
from optdet.store.heartbeat import Heartbeat
from optdet.store.leases import Full, Leases, Slot


def run_trials(study: optuna.Study, leases: Leases, total: int) -> list[int]:
    """What a worker does, without the training; the numbers of its trials."""
    numbers = []
    while not isinstance(slot := leases.reserve(total), Full):
        if not isinstance(slot, Slot):
            time.sleep(0.05)
            continue
        with Heartbeat(leases, slot):
            trial = study.ask()
            slot = leases.bind(slot, trial.number)
            tell(study, trial)
        leases.release(slot)
        numbers.append(trial.number)
    return numbers


def tell(study: optuna.Study, trial: optuna.Trial) -> None:
    """Every third is pruned and every seventh fails: the failed ones do not count."""
    if trial.number % 7 == 6:
        study.tell(trial, state=TrialState.FAIL)
    elif trial.number % 3 == 2:
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, 0.5)


def work(url: str, role: str, name: str, total: int) -> object:
    storage = open_storage(url)
    if role == "open":
        return "opened"
    study = optuna.load_study(study_name=name, storage=storage)
    leases = Leases(storage, storage.get_study_id_from_name(name), study.user_attrs["uuid"])
    if role == "run":
        return run_trials(study, leases, total)
    slot = leases.reserve(total)
    if role in ("ask", "bind") and isinstance(slot, Slot):
        trial = study.ask()
        trial.suggest_float("lr", 1e-5, 1e-2, log=True)
        if role == "bind":
            slot = leases.bind(slot, trial.number)
    return [type(slot).__name__, getattr(slot, "taken_over", None), getattr(slot, "trial_number", None)]


def child(url: str, role: str, name: str, total: int) -> None:
    try:
        outcome = work(url, role, name, total)
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"
    os.write(1, (json.dumps({"pid": os.getpid(), "outcome": outcome}) + "\n").encode())
    while True:
        signal.pause()


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        close_storage(open_storage(Path(folder) / "warm.db"))  # Optuna imports much of itself late
    for line in sys.stdin:
        order = json.loads(line)
        if "reap" in order:
            os.waitpid(order["reap"], 0)
            continue
        for _ in range(order["n"]):
            if os.fork() == 0:
                child(order["url"], order["role"], order["study"], order["total"])


if __name__ == "__main__":
    main()
