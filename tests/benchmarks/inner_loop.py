"""How much faster the inner loop searches thresholds than its peers, measured in one run; and if it is exact.

Over the cached maps of labelled images (``make_maps.py``), one process and one thread: threshold lattices
of quads and of polygons, one configuration off the lattice, one plain CLEval evaluation, and the command
``optdet postprocess tune`` as a process of its own. The peers (``peers.py``) are measured before and after
ours, so that a busy machine is unfair to neither; figures are wall seconds, with the ratio of CPU seconds
beside them. Compiled code is warm, but for the first run of the command. "On the lattice" rates a peer by
the mean over configurations drawn from the same lattice, "at the default" by the thresholds that ship with
the detector.

    OMP_NUM_THREADS=1 python tests/benchmarks/inner_loop.py MAPS_DIR --images DIR --labels FILE \\
        --peers-python peers/bin/python
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from ours import (
    MIN_SIDE,
    SEED,
    LabelledMap,
    Lattice,
    load,
    mismatches,
    our_configuration,
    our_evaluation,
    our_sweep,
)

from optdet.detection.postprocess import MapDetector
from optdet.evaluation.truth import cleval_truth
from optdet.structures import METRICS, Metric, Thresholds

MAX_CANDIDATES = (100, 300, 1000)
QUAD_UNCLIP, POLYGON_UNCLIP = 1.5, 2.0
DEFAULT_QUADS = Thresholds(0.3, 0.5, 1.6, 1000, False, MIN_SIDE)
"""What ``rapidocr-onnxruntime`` ships with its detector."""
DEFAULT_POLYGONS = Thresholds(0.3, 0.5, POLYGON_UNCLIP, 1000, True, MIN_SIDE)
OFF_LATTICE = Thresholds(0.3173, 0.4321, 1.537, 1000, False, MIN_SIDE)
COMPETITION_COPY_SECONDS = 3.9
"""A polygon configuration with the receipt competition's copy of CLEval: stated, not measured here."""


class Seconds(NamedTuple):
    wall: float
    cpu: float


class Row(NamedTuple):
    """A line of the table: ours, all configurations; the peer's, each."""

    what: str
    n: int
    ours: Seconds
    peer: Seconds


# Measuring


def timed(call: Callable[[], Any]) -> tuple[Any, Seconds]:
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return result, Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def median_of(prepare: Callable[[], Any], call: Callable[[Any], Any], repeats: int) -> Seconds:
    """The median of each clock; what ``prepare`` makes is new each time and not counted."""
    runs = []
    for _ in range(repeats):
        ready = prepare()
        runs.append(timed(partial(call, ready))[1])
    return medians(runs)


def medians(seconds: Sequence[Seconds]) -> Seconds:
    return Seconds(statistics.median(s.wall for s in seconds), statistics.median(s.cpu for s in seconds))


def means(seconds: Sequence[Seconds]) -> Seconds:
    return Seconds(statistics.fmean(s.wall for s in seconds), statistics.fmean(s.cpu for s in seconds))


# The peers


class Peers:
    """The peers' runs over one job, and what follows from all of them."""

    def __init__(self, python: Path, job: Path) -> None:
        self._command = [str(python), str(Path(__file__).with_name("peers.py")), str(job)]
        self.rounds: list[dict[str, Any]] = []

    def measure(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        environment.pop("PYTHONPATH", None)
        run = subprocess.run(self._command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        self.rounds.append(json.loads(run.stdout.splitlines()[-1]))

    def configurations(self, kind: str, part: str = "total") -> list[Seconds]:
        """Seconds of each configuration, medians over the rounds; the first is the default."""
        each = zip(*(round_[kind] for round_ in self.rounds), strict=True)
        return [medians([Seconds(**entry[part]) for entry in entries]) for entries in each]

    def metric_alone(self) -> Seconds:
        return medians([Seconds(**entry) for round_ in self.rounds for entry in round_["cleval"]["seconds"]])


def write_job(
    path: Path, samples: Sequence[LabelledMap], detections: Any, quads: Any, polygons: Any, repeats: int
) -> None:
    job = {
        "images": [
            {
                "map": str(sample.path.resolve()),
                "letterbox": {
                    name: getattr(sample.letterbox, name)
                    for name in ("width", "height", "left", "top", "inner_width", "inner_height")
                },
                "words": [
                    {
                        "points": word.polygon.ravel().tolist(),
                        "text": word.text or "",
                        "ignored": word.ignored,
                    }
                    for word in sample.words
                ],
                "detections": [polygon.ravel().tolist() for polygon in found],
            }
            for sample, found in zip(samples, detections, strict=True)
        ],
        "quads": [peer_thresholds(thresholds) for thresholds in quads],
        "polygons": [peer_thresholds(thresholds) for thresholds in polygons],
        "doctr": [peer_thresholds(quads[0])],
        "repeats": repeats,
    }
    path.write_text(json.dumps(job), encoding="utf-8")


def peer_thresholds(thresholds: Thresholds) -> dict[str, float]:
    names = ("thresh", "box_thresh", "unclip_ratio", "max_candidates")
    return {name: getattr(thresholds, name) for name in names}


# The command


class ProcessRun(NamedTuple):
    status: int
    wall: float
    peak_mb: float
    stderr: str


def run_tune(options: argparse.Namespace) -> ProcessRun:
    """``optdet postprocess tune`` over the maps, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "stderr").open("w+") as errors:
        command = [sys.executable, "-m", "optdet", "postprocess", "tune", str(options.maps_dir.resolve())]
        command += ["--images", str(options.images.resolve()), "--labels", str(options.labels.resolve())]
        started = time.perf_counter()
        child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - started
        errors.seek(0)
        unit = 2**20 if sys.platform == "darwin" else 2**10
        return ProcessRun(child.returncode, wall, usage.ru_maxrss / unit, errors.read())


# The report


def conditions(samples: Sequence[LabelledMap], peers: Peers, at_start: str) -> list[str]:
    ours = {name: importlib.metadata.version(name) for name in ("numpy", "numba", "shapely", "pyclipper")}
    words = sum(len(sample.words) for sample in samples)
    return [
        f"{len(samples)} images, {words} words, maps at {samples[0].prob_map.shape[0]}",
        f"at the start {at_start}",
        f"ours: Python {platform.python_version()}, OpenCV {cv2.__version__}, {listed(ours)}",
        f"peers: Python {peers.rounds[0]['python']}, {listed(peers.rounds[0]['versions'])}",
    ]


def machine() -> str:
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{platform.machine()}, {os.cpu_count()} CPUs, load average {load}"


def listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def table(rows: Sequence[Row]) -> list[str]:
    lines = [
        "| what | ours s (CPU) | configurations/s | peer s each (CPU) | ratio | ratio, CPU |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        wall, cpu = (row.n * peer / max(own, 1e-9) for peer, own in zip(row.peer, row.ours, strict=True))
        lines.append(
            f"| {row.what} | {row.ours.wall:.3f} ({row.ours.cpu:.3f}) | {row.n / row.ours.wall:.1f} "
            f"| {row.peer.wall:.2f} ({row.peer.cpu:.2f}) | {wall:.1f} | {cpu:.1f} |"
        )
    return lines


def peer_lines(peers: Peers) -> list[str]:
    lines = []
    for kind in ("quads", "polygons", "doctr"):
        parts = [peers.configurations(kind, part)[0].wall for part in ("postprocess", "metric", "total")]
        lines.append(
            "peer at the default, {}: post-processing {:.2f} s, metric {:.2f} s, total {:.2f} s".format(
                kind, *parts
            )
        )
    return lines


def metric_seconds(samples: Sequence[LabelledMap], lattice: Lattice, repeats: int) -> dict[Metric, Seconds]:
    """One sweep for each metric, in turns, so that a busy machine is unfair to none."""
    runs: dict[Metric, list[Seconds]] = {metric: [] for metric in METRICS}
    for _ in range(repeats):
        for metric in METRICS:
            runs[metric].append(timed(partial(our_sweep, samples, lattice, metric))[1])
    return {metric: medians(seconds) for metric, seconds in runs.items()}


def last_words(text: str) -> str:
    """The last line that says something; a wrong command's is in a frame."""
    lines = [line.strip("│ ") for line in text.splitlines()]
    return next((line for line in reversed(lines) if any(map(str.isalpha, line))), "")


def steps(first: float, last: float, n: int, step: float) -> tuple[float, ...]:
    """n values from first to last, on a lattice of ``step``."""
    return tuple(round(round(value / step) * step, 6) for value in np.linspace(first, last, n))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("maps_dir", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--peers-python", type=Path, required=True)
    parser.add_argument("--n-thresh", type=int, default=20)
    parser.add_argument("--n-box-thresh", type=int, default=20)
    parser.add_argument("--n-unclip", type=int, default=10)
    parser.add_argument(
        "--repeats", type=int, default=3, help="of each of our measurements; the median counts"
    )
    parser.add_argument("--peer-configurations", type=int, default=3, help="spread over the lattice")
    parser.add_argument("--compare", type=int, default=3000, help="image-configurations of each kind")
    return parser.parse_args()


def main() -> None:
    options = parse()
    cv2.setNumThreads(1)
    at_start = machine()
    samples = load(options.maps_dir, options.images, options.labels)
    thresh, box_thresh = (steps(0.05, 0.905, n, 0.005) for n in (options.n_thresh, options.n_box_thresh))
    unclip = steps(1.2, 2.1, options.n_unclip, 0.1)
    small = Lattice(thresh, box_thresh, (QUAD_UNCLIP,), MAX_CANDIDATES, False)
    large = Lattice(thresh, box_thresh, unclip, MAX_CANDIDATES, False)
    polygons = Lattice(thresh, box_thresh, (POLYGON_UNCLIP,), MAX_CANDIDATES, True)

    defaults = [MapDetector(s.prob_map, s.letterbox).detect(DEFAULT_QUADS).polygons for s in samples]
    rng = random.Random(SEED)
    spread = [
        [lattice.at(lattice.draw(rng)) for _ in range(options.peer_configurations)]
        for lattice in (small, polygons)
    ]
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.json"
        peer_quads = [DEFAULT_QUADS, *spread[0], OFF_LATTICE]
        write_job(job, samples, defaults, peer_quads, [DEFAULT_POLYGONS, *spread[1]], options.repeats)
        peers = Peers(options.peers_python, job)
        peers.measure()

        sweeps: list[tuple[str, Lattice, Seconds]] = []
        compared = []
        for lattice in (small, large, polygons):
            what = f"{len(lattice)} {'polygons' if lattice.use_polygon else 'quads'}"
            our_sweep(samples[:1], lattice)  # compiles, or reads the compiled code
            runs = [timed(partial(our_sweep, samples, lattice)) for _ in range(options.repeats)]
            sweeps.append((what, lattice, medians([seconds for _, seconds in runs])))
            compared.append((what, *mismatches(samples, lattice, options.compare)))
            del runs
        by_metric = metric_seconds(samples, small, options.repeats)
        compared.append((f"{len(small)} quads, iou", *mismatches(samples, small, options.compare, "iou")))
        cold = median_of(
            lambda: [cleval_truth(sample.words, "competition") for sample in samples],
            lambda truths: our_configuration(samples, truths, OFF_LATTICE),
            options.repeats,
        )
        evaluated = our_evaluation(samples, defaults)
        plain = median_of(lambda: None, lambda _: our_evaluation(samples, defaults), 5 * options.repeats)
        peers.measure()

    quads_each, polygons_each = peers.configurations("quads"), peers.configurations("polygons")
    rows = []
    for what, lattice, seconds in sweeps:
        each = polygons_each if lattice.use_polygon else quads_each[:-1]
        rows.append(Row(f"{what}, peer on the lattice", len(lattice), seconds, means(each[1:])))
        rows.append(Row(f"{what}, peer at the default", len(lattice), seconds, each[0]))
        if lattice.use_polygon:
            stated = Seconds(COMPETITION_COPY_SECONDS, COMPETITION_COPY_SECONDS)
            rows.append(
                Row(
                    f"{what}, peer's {COMPETITION_COPY_SECONDS} s stated, not measured",
                    len(lattice),
                    seconds,
                    stated,
                )
            )
    rows.append(Row("1 cold configuration off the lattice", 1, cold, quads_each[-1]))
    rows.append(Row("1 plain CLEval evaluation", 1, plain, peers.metric_alone()))

    print(*conditions(samples, peers, at_start), "", *table(rows), "", *peer_lines(peers), sep="\n")
    for metric, seconds in by_metric.items():
        print(f"sweep of {len(small)} quads, {metric}: {seconds.wall:.3f} s ({seconds.cpu:.3f} s CPU)")
    theirs = [tuple(counts) for counts in peers.rounds[0]["cleval"]["counts"]]
    different = sum(a != b for a, b in zip(theirs, evaluated, strict=True))
    print(f"official CLEval: {different} of {len(theirs)} images with other counts than the cleval package's")
    for what, wrong, n in compared:
        print(f"exactness, {what}: {wrong} of {n} image-configurations differ from the plain path")
    for label in ("first", "second"):
        run = run_tune(options)
        said = "" if run.status == 0 else f", exit {run.status}: {last_words(run.stderr)}"
        print(f"optdet postprocess tune, {label} run: {run.wall:.2f} s wall, {run.peak_mb:.0f} MB peak{said}")
    print(f"at the end {machine()}")


if __name__ == "__main__":
    main()
