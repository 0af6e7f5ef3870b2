"""Training targets of a receipt's words: what they cost here and with python-doctr's builder.

    python tests/benchmarks/targets.py --peers-python peers/bin/python [--size 1024] [--words 120]

Pages of turned word quads, made from a seed. Both sides build them in turn, round by round, one thread each;
printed are medians and their ratio, and how far the maps agree, apart from the pixels whose definition
differs (see README.md). Without ``--peers-python`` our times alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from optdet.detection.targets import TargetMaps, build_targets

COLUMNS = 4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers-python", type=Path)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--words", type=int, default=120)
    parser.add_argument("--pages", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    pages = np.stack([page(rng, options.words, options.size) for _ in range(options.pages)])
    pages.flags.writeable = False  # whoever wrote to the caller's polygons would fail
    built = [ours(words, options.size) for words in pages]  # compiles, too
    print(f"{options.pages} pages of {options.size} pixels, {options.words} words each, one thread")
    if options.peers_python is None:
        show("optdet", [each for _ in range(options.rounds) for each in our_times(pages, options.size)])
        return
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "pages.npz", words=pages, size=options.size)
        here, there = raced(options, pages, Path(folder))
        ratio = show("python-doctr", there) / show("optdet", here)
        print(f"ratio {ratio:.1f}")
        compare(built, dict(np.load(Path(folder) / "maps.npz")))


def page(rng: np.random.Generator, n_words: int, size: int) -> NDArray[np.float64]:
    """Quads (n, 4, 2) in rows of four, the whole page turned by up to 4 degrees about its middle."""
    n_rows = -(-n_words // COLUMNS)
    row, column = np.divmod(np.arange(n_words), COLUMNS)
    cell_x, cell_y = 0.92 * size / COLUMNS, 0.92 * size / n_rows
    left = 0.04 * size + column * cell_x + rng.uniform(0, 0.08, n_words) * cell_x
    top = 0.04 * size + row * cell_y
    width, height = rng.uniform(0.2, 0.85, n_words) * cell_x, rng.uniform(0.45, 0.75, n_words) * cell_y
    corners = np.stack([[left, top], [left + width, top], [left + width, top + height], [left, top + height]])
    turn = np.deg2rad(rng.uniform(-4, 4))
    turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    quads: NDArray[np.float64] = (corners.transpose(2, 0, 1) - size / 2) @ turned + size / 2
    return quads.clip(0, size - 1)


def ours(words: NDArray[np.float64], size: int) -> TargetMaps:
    return build_targets(list(words), [False] * len(words), size)


def our_times(pages: NDArray[np.float64], size: int) -> list[float]:
    milliseconds = []
    for words in pages:
        started = time.perf_counter()
        ours(words, size)
        milliseconds.append(1e3 * (time.perf_counter() - started))
    return milliseconds


def raced(
    options: argparse.Namespace, pages: NDArray[np.float64], folder: Path
) -> tuple[list[float], list[float]]:
    """Milliseconds of every page in every round, ours and the peer's, in turn."""
    command = [options.peers_python, Path(__file__).with_name("targets_peer.py"), folder / "pages.npz"]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with subprocess.Popen(
        list(map(str, command)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | threads,
    ) as peer:
        assert peer.stdin is not None
        assert peer.stdout is not None
        asked(peer.stdin, peer.stdout, f"maps {folder / 'maps.npz'}")
        here: list[float] = []
        there: list[float] = []
        for _ in range(options.rounds):
            here += our_times(pages, options.size)
            there += asked(peer.stdin, peer.stdout, "time")
        peer.stdin.close()
    return here, there


def asked(question: IO[str], answer: IO[str], line: str) -> list[float]:
    print(line, file=question, flush=True)
    values: list[float] = json.loads(answer.readline())
    return values


def show(name: str, milliseconds: list[float]) -> float:
    low, median, high = np.percentile(milliseconds, [10, 50, 90])
    print(f"{name:14} {median:6.2f} ms a page (10th to 90th percentile {low:.2f} to {high:.2f})")
    return float(median)


def compare(built: list[TargetMaps], peer: dict[str, Any]) -> None:
    """Pixels that differ, and how many of them do not touch the border of a word's map."""
    for name in ("shrink_map", "shrink_mask", "thresh_mask"):
        mine = np.stack([getattr(maps, name) for maps in built]).astype(np.uint8)
        other = peer[name].astype(np.uint8)
        kernel = np.ones((3, 3), np.uint8)
        inner = np.stack([cv2.dilate(each, kernel) == cv2.erode(each, kernel) for each in mine])
        differ = mine != other
        print(
            f"{name:12} {mine.sum()} pixels set, {differ.sum()} differ ({differ.mean():.2e} of all), "
            f"{(differ & inner).sum()} of them not at a border"
        )
    mine = np.stack([maps.thresh_map(thresh_min=0.3, thresh_max=0.7) for maps in built])
    both = np.stack([maps.thresh_mask for maps in built]).astype(bool) & peer["thresh_mask"].astype(bool)
    apart = np.abs(mine - peer["thresh_map"])[both]
    print(
        f"thresh_map   where both are learnt: mean difference {apart.mean():.1e}, largest {apart.max():.1e}, "
        f"{(apart > 0.01).mean():.1e} of the pixels above 0.01"
    )


if __name__ == "__main__":
    main()
