"""Workers in as many terminals on one SQLite file: what share of their time the database takes.

    python tests/benchmarks/workers.py [--workers 8] [--trials 200]

Each worker is a real ``optdet study run`` of tiny trainings, two seconds each where eight workers have two
cores, in a process that adds up how long a connection was in hand, waiting for the write lock included. Said:
trials a second, the share of the workers' time in storage, the longest transaction, and whether every trial
was done once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

STUDY = """
name: tiny
config:
  device: cpu
  data: {synthetic: {train: 8, val: 3, image_size: 192, difficulty: 0.0}, size: 128, workers: 0}
  augment: {geometry_prob: 0.0}
  model: {backbone: test_efficientnet, pretrained: false, inner_channels: 16, thresh_branch: false}
  train: {epochs: 3, batch_size: 4}
space:
  optimizer.lr: {type: float, low: 0.003, high: 0.03, log: true}
  optimizer.weight_decay: {type: float, low: 1.0e-5, high: 1.0e-2, log: true}
postprocess: {method: tpe, trials: 10}
pruner: {name: none}
keep: {maps: 1, inner_studies: 1, overlays: 1}
"""


def worker(report: Path) -> None:
    """Run the command line of what is left of the arguments, and write down the time in storage."""
    from storage_clock import listen

    from optdet.cli.app import main
    from optdet.tuning.worker import Worker

    held = listen()
    run = Worker.run

    def timed(self: Worker) -> Any:
        held.clear()
        started = time.perf_counter()
        try:
            return run(self)
        finally:
            seconds = time.perf_counter() - started
            entry = {"seconds": seconds, "storage": sum(held), "longest": max(held), "n": len(held)}
            report.write_text(json.dumps(entry))

    Worker.run = timed  # type: ignore[method-assign]
    main()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--trials", type=int, default=200)
    given = parser.parse_args()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tiny.yaml").write_text(STUDY)
        optdet = [sys.executable, "-m", "optdet", "study"]
        subprocess.run([*optdet, "create", "tiny.yaml"], cwd=folder, env=environment, check=True)
        reports = [folder / f"worker{number}.json" for number in range(given.workers)]
        words = ["study", "run", "tiny", "--trials", str(given.trials)]
        processes = [
            subprocess.Popen(
                [sys.executable, __file__, "--report", str(report), *words],
                cwd=folder,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=(folder / f"{report.stem}.err").open("w"),
            )
            for report in reports
        ]
        codes = [process.wait() for process in processes]
        said = "".join((folder / f"{report.stem}.err").read_text() for report in reports)
        shown = subprocess.run(
            [*optdet, "show", "tiny", "--json"], cwd=folder, env=environment, check=True, capture_output=True
        )
        numbers = [trial["number"] for trial in json.loads(shown.stdout)["trials"]]
        entries = [json.loads(report.read_text()) for report in reports]
    seconds = sum(entry["seconds"] for entry in entries)
    storage = sum(entry["storage"] for entry in entries)
    print(f"{given.workers} workers, exit codes {codes}")
    print(f"{len(numbers)} trials, each once: {numbers == list(range(given.trials))}")
    print(f"'locked' was said {said.count('locked')} times")
    print(f"{max(entry['seconds'] for entry in entries):.0f} s, {seconds / given.trials:.2f} s a trial")
    print(f"in storage {100 * storage / seconds:.2f} % of the workers' time")
    print(f"longest transaction {max(entry['longest'] for entry in entries):.2f} s")


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[1] == "--report":
        target = Path(sys.argv[2])
        del sys.argv[1:3]
        worker(target)
    else:
        main()
