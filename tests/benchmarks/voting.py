"""What votes give, and box fusion and averaged outlines in their place, on the words of real receipts.

    python tests/benchmarks/voting.py LABELS [--peers-python peers/bin/python] [--members 5] [--noise 1]

Five members are made of the labels: each misses some words, shifts and grows the others by a part of their
height, begins its outline at any corner, some of them with a point more on the top edge, and sees words
where there are none. The words are quads and in places close to each other. Printed are CLEval's macro
H-mean (competition) of the best member and of each way to combine them, and times as ratios: of votes here,
of ``ensemble-boxes`` in its own environment (``requirements-voting.txt``), which knows upright boxes only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdet.data.labels import read_labels
from optdet.detection.voting import majority, vote
from optdet.evaluation.evaluate import evaluate
from optdet.metrics.iou import iou_matrix
from optdet.structures import Detections, Word

IOU_THRESHS = (0.3, 0.5)
MISSED, GHOSTS = 0.06, 0.04
SHIFT, GROWTH = 0.12, 0.10
SCORE = 0.9

Words = Mapping[str, Sequence[Word]]
Found = dict[str, list[Detections]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("labels", type=Path)
    parser.add_argument("--peers-python", type=Path)
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--noise", type=float, default=1.0, help="factor of shifts and growth")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    words = {name: of for name, of in read_labels(options.labels).words.items() if of}
    rng = np.random.default_rng(options.seed)
    found = {
        name: [perturbed(of, rng, options.noise) for _ in range(options.members)]
        for name, of in words.items()
    }
    n_words = sum(map(len, words.values()))
    n = options.members
    print(f"{len(words)} images, {n_words} words, {n} members, at least {majority(n)}")
    alone = [
        hmean(words, {name: of[k].polygons for name, of in found.items()}) for k in range(options.members)
    ]
    print(f"{'best member':24} H-mean {max(alone):.4f}")
    for iou_thresh in IOU_THRESHS:
        print(f"IoU {iou_thresh:g}")
        ours, seconds = voted(found, iou_thresh)
        show("votes", hmean(words, ours), max(alone))
        show("chained, averaged", hmean(words, dict(chained(found, iou_thresh))), max(alone))
        if options.peers_python:
            peers = fused(found, options.peers_python, iou_thresh)
            for name, (boxes, peer_seconds) in peers.items():
                ratio = f", {peer_seconds / seconds:.1f} times the time of votes"
                show(name, hmean(words, boxes), max(alone), ratio)


def show(name: str, score: float, alone: float, more: str = "") -> None:
    print(f"{name:24} H-mean {score:.4f}, {score - alone:+.4f} of the best member{more}")


def hmean(words: Words, polygons: Mapping[str, Sequence[NDArray[Any]]]) -> float:
    return evaluate(words, polygons).scores.competition.macro.hmean


def perturbed(words: Sequence[Word], rng: np.random.Generator, noise: float = 1.0) -> Detections:
    """What a member finds of an image's words."""
    polygons = []
    for word in words:
        sides = np.diff(word.polygon[:3], axis=0)
        height = float(np.linalg.norm(sides, axis=1).min())
        shift, growth = rng.normal(0, noise * SHIFT * height, 2), rng.normal(0, noise * GROWTH * height)
        if rng.random() < MISSED:
            continue
        centre = word.polygon.mean(axis=0)
        outward = np.sign(word.polygon - centre) * growth
        polygons.append(begun_anywhere(word.polygon + outward + shift, rng))
        if rng.random() < GHOSTS:
            polygons.append(begun_anywhere(word.polygon + np.array([0, height * rng.uniform(1, 3)]), rng))
    kept = [np.round(polygon).astype(np.int32) for polygon in polygons]
    return Detections(tuple(kept), rng.uniform(SCORE - 0.2, SCORE, len(kept)))


def begun_anywhere(polygon: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """The same outline from another of its points on, and half the time with one more."""
    if rng.random() < 0.5:
        polygon = np.insert(polygon, 1, polygon[:2].mean(axis=0), axis=0)
    return np.roll(polygon, rng.integers(len(polygon)), axis=0)


def voted(found: Found, iou_thresh: float) -> tuple[dict[str, Sequence[NDArray[Any]]], float]:
    n_members = len(next(iter(found.values())))
    vote(next(iter(found.values())), min_votes=1)  # compiles on the first call
    started = time.perf_counter()
    results = {
        name: vote(of, min_votes=majority(n_members), iou_thresh=iou_thresh).polygons
        for name, of in found.items()
    }
    return results, time.perf_counter() - started


def chained(found: Found, iou_thresh: float) -> Iterator[tuple[str, list[NDArray[np.float64]]]]:
    """As it is commonly written: a cluster is whatever overlaps something in it, a result the mean of its
    vertices, in their order, as many as all have."""
    for name, members in found.items():
        polygons = [(k, polygon) for k, of in enumerate(members) for polygon in of.polygons]
        ious = iou_matrix([polygon for _, polygon in polygons], [polygon for _, polygon in polygons])
        left, results = set(range(len(polygons))), []
        while left:
            cluster: set[int] = set()
            frontier = {min(left)}
            while frontier:
                cluster |= frontier
                frontier = {j for i in frontier for j in left if ious[i, j] >= iou_thresh} - cluster
            left -= cluster
            if len({polygons[i][0] for i in cluster}) >= majority(len(members)):
                n_points = min(len(polygons[i][1]) for i in cluster)
                results.append(np.mean([polygons[i][1][:n_points] for i in cluster], axis=0))
        yield name, results


def fused(
    found: Found, python: Path, iou_thresh: float
) -> dict[str, tuple[dict[str, list[NDArray[np.float64]]], float]]:
    """The upright boxes of the same members, fused by the package's Python; seconds of all images."""
    n_members = len(next(iter(found.values())))
    sides = {name: 1 + max(int(p.max()) for of in each for p in of.polygons) for name, each in found.items()}
    images = [
        {
            "boxes": [
                [(np.r_[p.min(axis=0), p.max(axis=0)].clip(0) / sides[name]).tolist() for p in of.polygons]
                for of in members
            ],
            "scores": [of.scores.tolist() for of in members],
        }
        for name, members in found.items()
    ]
    # The least that a box of a majority can score: the fusion multiplies scores by the share of the members.
    keep = (SCORE - 0.2) * majority(n_members) / n_members - 1e-6
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.json"
        job.write_text(json.dumps({"iou_thresh": iou_thresh, "keep": keep, "images": images}))
        command = [str(python), str(Path(__file__).with_name("voting_peer.py")), str(job)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    results = json.loads(printed)
    return {
        method: (
            {
                name: [quad(np.array(box) * sides[name]) for box in boxes]
                for name, boxes in zip(found, of["images"], strict=True)
            },
            of["seconds"],
        )
        for method, of in results.items()
    }


def quad(box: NDArray[np.float64]) -> NDArray[np.float64]:
    x1, y1, x2, y2 = box
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])


if __name__ == "__main__":
    main()
