"""Seconds of `optdet compare` on cached maps of 404 images with a hundred words each.

Two configurations of one source, two sources, and two prediction files:

python tests/benchmarks/comparison.py MAPS_DIR --images DIR --labels FILE [--n-images 404] [--runs 3]

Maps are ``.npy`` files named as the images, letterboxed with the padding in the middle, as ``make_maps.py``
writes them. An image of the case is two of these receipts beside each other on one canvas, so that its words
are as many as those of a long receipt; the second folder of maps is the first with noise, as another
detector's would differ. Every run is a process of its own, so its imports count. What it compares is printed:
the numbers must not depend on how fast they are computed.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from ours import LabelledMap, load

from optdet.config import PostprocessConfig
from optdet.data.label_ufo import write_ufo
from optdet.data.predictions import write_predictions
from optdet.detection.postprocess import MapDetector
from optdet.geometry.placement import Stretch
from optdet.structures import FloatArray, Word

CONFIGURATIONS = ("thresh=0.3", "thresh=0.2")
NOISE = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("maps_dir", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--n-images", type=int, default=404)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="make the case in this folder, or use the one there")
    options = parser.parse_args()
    samples = load(options.maps_dir, options.images, options.labels)
    with tempfile.TemporaryDirectory() as temporary:
        case = options.keep or Path(temporary)
        if not (case / "labels.json").exists():
            make_case(case, samples, options.n_images)
        measure(case, options.runs)


def make_case(case: Path, samples: list[LabelledMap], n_images: int) -> None:
    """``maps``, ``other`` maps, ``images``, ``labels.json``, ``a.csv`` and ``b.csv``."""
    for name in ("maps", "other", "images"):
        (case / name).mkdir(parents=True, exist_ok=True)
    words: dict[str, list[Word]] = {}
    found: dict[str, dict[str, list[FloatArray]]] = {"a": {}, "b": {}}
    rng = np.random.default_rng(0)
    for number in range(n_images):
        name = f"{number:03d}.jpg"
        left, right = (samples[int(index)] for index in rng.choice(len(samples), 2, replace=False))
        prob_map, words[name] = beside(left, right)
        size = len(prob_map)
        noise = rng.normal(0, NOISE, prob_map.shape)
        other = np.where(prob_map > 0, np.clip(prob_map + noise, 0, 1), 0).astype(np.float16)
        np.save(case / "maps" / f"{number:03d}.npy", prob_map)
        np.save(case / "other" / f"{number:03d}.npy", other)
        cv2.imwrite(str(case / "images" / name), np.zeros((size, size, 3), np.uint8))
        for side, file in (("a", prob_map), ("b", other)):
            detector = MapDetector(file, Stretch(size, size, size, size))
            found[side][name] = list(detector.detect(PostprocessConfig().thresholds()).polygons)
    write_ufo(case / "labels.json", words)
    for side, polygons in found.items():
        write_predictions(case / f"{side}.csv", polygons)


def beside(left: LabelledMap, right: LabelledMap) -> tuple[NDArray[np.float16], list[Word]]:
    """The map of an image of canvas size that shows one receipt in each half, and its words."""
    size = len(left.prob_map)
    half = size // 2
    canvas = np.zeros((size, size), dtype=np.float16)
    words = []
    for column, sample in ((0, left), (half, right)):
        box = sample.letterbox
        inner = sample.prob_map[
            box.top : box.top + box.inner_height, box.left : box.left + box.inner_width
        ].astype(np.float32)
        width = min(half, inner.shape[1])
        resized = cv2.resize(inner, (width, inner.shape[0]), interpolation=cv2.INTER_LINEAR)
        canvas[: len(resized), column : column + width] = resized
        scale = np.array([width / inner.shape[1], 1.0])
        for word in sample.words:
            points = (box.to_canvas(word.polygon) - (box.left, box.top)) * scale + (column, 0)
            words.append(Word(np.round(points), word.text, word.ignored))
    return canvas, words


def measure(case: Path, runs: int) -> None:
    labelled = ["--images", str(case / "images"), "--labels", str(case / "labels.json")]
    maps, other = str(case / "maps"), str(case / "other")
    a, b = CONFIGURATIONS
    commands = {
        "two configurations": [maps, maps, "-a", a, "-b", b, *labelled],
        "two sources": [maps, other, *labelled],
        "two prediction files": [str(case / "a.csv"), str(case / "b.csv"), *labelled[2:]],
    }
    for title, arguments in commands.items():
        times = []
        for _ in range(runs):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            started = time.perf_counter()
            command = [sys.executable, "-m", "optdet", "compare", *arguments, "--json"]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            wall = time.perf_counter() - started
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            times.append((wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime))
        wall, processor = min(times)
        scores = json.loads(printed)["competition"]["macro"]["hmean"]
        print(
            f"{title:22} {wall:6.2f} s, {processor:6.2f} s of processor: "
            f"H-mean {scores['a']!r} and {scores['b']!r}, standard error {scores['standard_error']!r}"
        )


if __name__ == "__main__":
    main()
