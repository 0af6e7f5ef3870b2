"""How much of a rule's gain survives on images that it did not see, over random halves of a set.

python tests/benchmarks/selection.py MAPS_DIR --images DIR --labels FILE [--halves 500]

Maps are ``.npy`` files named as the images, as ``make_maps.py`` writes them. On each half a rule chooses
thresholds from the whole lattice; its gain over the defaults is measured there (in) and on the other half
(out).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from ours import Lattice, load, our_sweep

from optdet.config import PostprocessConfig
from optdet.evaluation.landscape import Landscape
from optdet.evaluation.selection import ROBUST_WITHIN, smoothed

Array = NDArray[np.floating]
Rule = Callable[[Landscape, Array], int]
"""From H-means (points, images) of one half to the index of a point."""


def steps(low: float, high: float, step: float) -> tuple[float, ...]:
    return tuple(np.round(np.arange(low, high + step / 2, step), 6).tolist())


def best(landscape: Landscape, by_image: Array) -> int:
    """The highest point."""
    return int(by_image.mean(axis=1).argmax())


def robust(landscape: Landscape, by_image: Array) -> int:
    """Of points that are nearly as high, the one with the best surroundings: ``select: robust``."""
    values = by_image.mean(axis=1)
    averaged = smoothed(landscape, values.reshape(landscape.hmean.shape)).ravel()
    return int(np.where(values >= values.max() - ROBUST_WITHIN, averaged, -np.inf).argmax())


def coordinates(landscape: Landscape) -> Array:
    """Of every point on each axis, 0..1."""
    shape = landscape.hmean.shape
    index = np.stack(np.unravel_index(np.arange(landscape.hmean.size), shape), axis=1)
    return index / np.maximum(np.array(shape) - 1, 1)


def within_one_error(by_image: Array) -> NDArray[np.intp]:
    """Points whose paired difference to the best is within its standard error."""
    means = by_image.mean(axis=1)
    gaps = by_image[means.argmax()] - by_image
    return np.flatnonzero(gaps.mean(axis=1) <= gaps.std(axis=1, ddof=1) / np.sqrt(by_image.shape[1]))


def nearest_to_default(landscape: Landscape, by_image: Array) -> int:
    """Of the points within one standard error of the best, the one nearest to the defaults."""
    near, place = within_one_error(by_image), coordinates(landscape)
    return int(near[((place[near] - place[default_index(landscape)]) ** 2).sum(axis=1).argmin()])


def centre(landscape: Landscape, by_image: Array) -> int:
    """Of the same points, the one nearest to their middle."""
    near, place = within_one_error(by_image), coordinates(landscape)
    return int(near[((place[near] - place[near].mean(axis=0)) ** 2).sum(axis=1).argmin()])


def halfway(landscape: Landscape, by_image: Array) -> int:
    """Halfway from the defaults to the best."""
    place = coordinates(landscape)
    middle = (place[best(landscape, by_image)] + place[default_index(landscape)]) / 2
    return int(((place - middle) ** 2).sum(axis=1).argmin())


def default_index(landscape: Landscape) -> int:
    usual, lattice = PostprocessConfig().thresholds(), landscape.lattice
    wanted = (usual.thresh, usual.unclip_ratio, usual.max_candidates, usual.box_thresh)
    axes = (lattice.thresh, lattice.unclip_ratio, lattice.max_candidates, lattice.box_thresh)
    index = [int(np.abs(np.array(axis) - value).argmin()) for axis, value in zip(axes, wanted, strict=True)]
    return int(np.ravel_multi_index(index, landscape.hmean.shape))


RULES: dict[str, Rule] = {
    "best": best,
    "robust": robust,
    "one SE, nearest to default": nearest_to_default,
    "one SE, centre": centre,
    "halfway to default": halfway,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("maps_dir", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--halves", type=int, default=500)
    parser.add_argument("--step", type=float, default=0.02, help="of thresh and box_thresh")
    options = parser.parse_args()
    samples = load(options.maps_dir, options.images, options.labels)
    axis = steps(0.05, 0.95, options.step)
    lattice = Lattice(axis, axis, steps(1.0, 3.0, 0.1), (1000,), use_polygon=False)
    landscape = our_sweep(samples, lattice, by_image=True)
    assert landscape.image_hmeans is not None
    by_image = landscape.image_hmeans.reshape(-1, len(samples))
    default = default_index(landscape)
    gains: dict[str, list[tuple[float, float]]] = {name: [] for name in RULES}
    rng = np.random.default_rng(0)
    for _ in range(options.halves):
        order = rng.permutation(len(samples))
        seen, unseen = order[: len(order) // 2], order[len(order) // 2 :]
        own, other = by_image[:, seen], by_image[:, unseen]
        for name, rule in RULES.items():
            index = rule(landscape, own)
            gains[name].append(
                (
                    float(own[index].mean() - own[default].mean()),
                    float(other[index].mean() - other[default].mean()),
                )
            )
    print(f"{len(samples)} images, {len(by_image)} points, {options.halves} random halves")
    highest = by_image.mean(axis=1).max()
    print(f"H-mean at the defaults {by_image[default].mean():.4f}, the highest {highest:.4f}\n")
    print("| rule | gain in | gain out | survives |\n|---|---:|---:|---:|")
    for name, pairs in gains.items():
        inside, outside = np.mean(pairs, axis=0)
        print(f"| {name} | {inside:.5f} | {outside:.5f} | {outside / inside:.0%} |")


if __name__ == "__main__":
    main()
