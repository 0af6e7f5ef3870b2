"""What a command costs before it does anything, and a trial beside its training.

    python tests/benchmarks/startup.py [--studies 50] [--trials 100] [--config studies/quickstart.yaml]

Whole processes of `optdet --help` and of `optdet study list` on a database of 50 studies of 100 trials each
(median and slowest of five, beside a bare Python and `import optuna`); then a study of three trials in this
process: from the end of a trial to the first batch of the next, and the share of the trials' time in which
a connection to the database was in hand, or neither training, validating, making final maps nor tuning went
on (pictures, checkpoints, notes, the inner study).
"""

from __future__ import annotations

import argparse
import os
import runpy
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from storage_clock import listen

from optdet.shipped import quickstart_file
from optdet.store.engine import close_storage, open_storage
from optdet.study_io import load_study
from optdet.tuning import attributes as attr
from optdet.tuning.progress import Progress
from optdet.tuning.run import run_study
from optdet.tuning.study import load_study as open_study
from optdet.tuning.study import open_database
from optdet.tuning.study_creation import create_study

OPTDET = (sys.executable, "-m", "optdet")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=50)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--config", type=Path, default=quickstart_file())
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder / "many.db", options.studies, options.trials)
        bare = processes((sys.executable, "-c", "pass"), folder)
        for what, command in (
            ("python", (sys.executable, "-c", "pass")),
            ("import optuna", (sys.executable, "-c", "import optuna")),
            ("optdet --help", (*OPTDET, "--help")),
            ("optdet study list", (*OPTDET, "study", "list", "--storage", str(folder / "many.db"))),
        ):
            seconds = processes(command, folder)
            ratio = statistics.median(seconds) / statistics.median(bare)
            print(
                f"{what:18} {statistics.median(seconds):.2f} s, slowest {max(seconds):.2f} s, "
                f"{ratio:.1f} x a bare Python"
            )
        trials(options.config, folder)


def fill(database: Path, n_studies: int, n_trials: int) -> None:
    made = runpy.run_path(str(Path(__file__).with_name("dashboard_open.py")))
    storage = open_storage(database)
    for number in range(n_studies):
        made["make_study"](storage, n_trials, f"study-{number:02d}")
    close_storage(storage)


def processes(command: Sequence[str], folder: Path, n: int = 5) -> list[float]:
    seconds = []
    for _ in range(n + 1):
        began = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, capture_output=True, env=os.environ)
        seconds.append(time.perf_counter() - began)
    return seconds[1:]  # the first one finds cold files


class Clock(Progress):
    """When things happened."""

    def __init__(self) -> None:
        self.finished: list[float] = []
        self.first_batch: list[float] = []
        self.started: list[float] = []
        self._waits = True

    def trial_started(self, number: int, params: Mapping[str, Any], epochs: int, *, taken_over: bool) -> None:
        self.started.append(time.perf_counter())
        self._waits = True

    def batch(self, done: int, total: int, loss: float | None) -> None:
        if self._waits:
            self.first_batch.append(time.perf_counter())
            self._waits = False

    def trial_finished(self, outcome: Any, n_finished: int, total: int) -> None:
        self.finished.append(time.perf_counter())


def trials(config: Path, folder: Path) -> None:
    database = open_database(str(folder / "studies" / "optdet.db"), create=True)
    loaded = load_study(config)
    create_study(database, loaded, data_root=folder)
    study = open_study(database, loaded.name)
    run_study(study, Clock(), total=1)  # makes the images, compiles
    clock = Clock()
    held = listen()
    began = time.perf_counter()
    run_study(study, clock, total=4)
    whole = time.perf_counter() - began
    gaps = [batch - end for end, batch in zip([began, *clock.finished], clock.first_batch, strict=False)]
    rows = [trial.user_attrs for trial in study.study.trials[1:] if attr.SECONDS in trial.user_attrs]
    in_work = sum(row[attr.SECONDS] for row in rows)
    print(f"{loaded.name}: {len(clock.finished)} trials in {whole:.1f} s")
    shown = ", ".join(f"{gap:.2f}" for gap in gaps)
    print(f"first batch of a trial after {shown} s (the first of a run opens the data)")
    print(f"in storage {100 * sum(held) / whole:.2f} % of the time")
    if len(rows) == len(clock.finished):
        print(f"neither trained, validated nor tuned {100 * (whole - in_work) / whole:.2f} % of the time")


if __name__ == "__main__":
    main()
