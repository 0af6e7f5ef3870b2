"""How well near copies are told from receipts that merely look alike.

Every image gets a changed copy of each kind; recall is the share of copies that are found beside all images.
The pairs found among the images themselves are listed: look at them (``optdet data check --pairs``).

    python tests/benchmarks/duplicates.py --images DIR [--every 2]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from optdet.data.images import list_images, read_image
from optdet.data.near_copies import find_near_copies, propose, thumbnail

Picture = NDArray[np.uint8]
Change = Callable[[Picture, np.random.Generator], Picture]


def jpeg(quality: int) -> Change:
    def change(image: Picture, _: np.random.Generator) -> Picture:
        return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)

    return change


def resized(factor: float) -> Change:
    return lambda image, _: cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def level(gain: float, offset: float) -> Change:
    return lambda image, _: np.clip(image * gain + offset, 0, 255).astype(np.uint8)


def gamma(power: float) -> Change:
    return lambda image, _: np.rint(255 * (image / 255.0) ** power).astype(np.uint8)


def cropped(ratio: float) -> Change:
    """Up to ``ratio`` off each side."""

    def change(image: Picture, rng: np.random.Generator) -> Picture:
        top, bottom, left, right = (rng.uniform(0, ratio, 4) * np.repeat(image.shape[:2], 2)).astype(int)
        return image[top : len(image) - bottom, left : image.shape[1] - right]

    return change


def trimmed(ratio: float) -> Change:
    """``ratio`` off each side."""

    def change(image: Picture, _: np.random.Generator) -> Picture:
        y, x = int(image.shape[0] * ratio), int(image.shape[1] * ratio)
        return image[y : len(image) - y, x : image.shape[1] - x]

    return change


def turned(degrees: float) -> Change:
    def change(image: Picture, _: np.random.Generator) -> Picture:
        height, width = image.shape[:2]
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
        return cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)

    return change


def chain(*changes: Change) -> Change:
    def change(image: Picture, rng: np.random.Generator) -> Picture:
        for one in changes:
            image = one(image, rng)
        return image

    return change


CHANGES: dict[str, Change] = {
    "JPEG quality 80": jpeg(80),
    "JPEG quality 30": jpeg(30),
    "JPEG quality 10": jpeg(10),
    "resized to 75 %": resized(0.75),
    "resized to 50 %": resized(0.5),
    "resized to 30 %": resized(0.3),
    "resized to 150 %": resized(1.5),
    "darker (0.6)": level(0.6, 0),
    "brighter (0.8, +50)": level(0.8, 50),
    "gamma 1.6": gamma(1.6),
    "2 % off each side": trimmed(0.02),
    "up to 2 % off a side": cropped(0.02),
    "up to 5 % off a side": cropped(0.05),
    "turned by 0.5 degrees": turned(0.5),
    "turned by 1 degree": turned(-1),
    "turned by 2 degrees": turned(2),
    "turned by 3 degrees": turned(-3),
    "all: 0.7 degrees, 2 %, darker, 60 %, JPEG 50": chain(
        turned(0.7), cropped(0.02), level(0.7, 0), resized(0.6), jpeg(50)
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="change every Nth image alone")
    parser.add_argument("--kinds", default="", help="only changes whose name holds this")
    options = parser.parse_args()
    paths = list_images(options.images)
    thumbnails = [thumbnail(read_image(path)) for path in paths]
    known = originals(paths, thumbnails)
    rng = np.random.default_rng(0)
    chosen = list(range(0, len(paths), options.every))
    print(f"\n{'change':46} recall  proposed  likeness (least, 5 %, median)  false alarms")
    for name, change in CHANGES.items():
        if options.kinds in name:
            one_change(name, change, paths, thumbnails, chosen, known, rng)


def originals(paths: list[Path], thumbnails: list[Picture]) -> set[tuple[int, int]]:
    started = time.perf_counter()
    proposed = propose(thumbnails)
    proposing = time.perf_counter() - started
    found = find_near_copies(paths, thumbnails)
    n_pairs = len(paths) * (len(paths) - 1) // 2
    print(f"{len(paths)} images, {n_pairs} pairs: {len(proposed)} proposed in {proposing:.2f} s")
    print(f"{len(found)} found; {time.perf_counter() - started:.1f} s in all")
    for pair in found:
        print(f"  {pair.likeness:.3f} {paths[pair.first].name} {paths[pair.second].name}")
    return {(pair.first, pair.second) for pair in found}


def one_change(
    name: str,
    change: Change,
    paths: list[Path],
    thumbnails: list[Picture],
    chosen: list[int],
    known: set[tuple[int, int]],
    rng: np.random.Generator,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copies = [Path(folder) / f"{index}.png" for index in chosen]
        changed = []
        for index, copy in zip(chosen, copies, strict=True):
            picture = change(read_image(paths[index]), rng)
            cv2.imwrite(str(copy), picture[:, :, ::-1])
            changed.append(thumbnail(picture))
        n = len(paths)
        true = {(index, n + place) for place, index in enumerate(chosen)}
        proposed = set(propose([*thumbnails, *changed]))
        found = find_near_copies([*paths, *copies], [*thumbnails, *changed])
    values = [pair.likeness for pair in found if (pair.first, pair.second) in true]
    originals_of = {n + place: index for place, index in enumerate(chosen)}
    false = 0
    for pair in found:
        first, second = (originals_of.get(index, index) for index in (pair.first, pair.second))
        false += first != second and (min(first, second), max(first, second)) not in known
    spread = "  ".join(f"{value:.3f}" for value in np.quantile(values, [0, 0.05, 0.5])) if values else "-"
    recall, offered = len(values) / len(true), len(true & proposed) / len(true)
    print(f"{name:46} {recall:6.3f}  {offered:8.3f}  {spread:30} {false}", flush=True)


if __name__ == "__main__":
    main()
