"""What ``inner_loop.py`` measures of optdet: sweep, one configuration, one evaluation; and the check."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optdet.data.images import image_size, list_images
from optdet.data.labels import read_labels
from optdet.data.names import NameIndex
from optdet.detection.postprocess import MapDetector
from optdet.evaluation.truth import ImageTruth
from optdet.geometry.letterbox import Letterbox
from optdet.metrics.cleval import cleval
from optdet.structures import Profile, Thresholds, Word

MIN_SIDE = 3.0
SEED = 20260801


@dataclass(frozen=True)
class LabelledMap:
    """One image: its cached map, float16 (S, S), and its words."""

    name: str
    prob_map: NDArray[np.float16]
    letterbox: Letterbox
    words: tuple[Word, ...]
    path: Path


class Lattice(NamedTuple):
    """Thresholds of a sweep; a configuration is one of each."""

    thresh_values: tuple[float, ...]
    box_thresh_values: tuple[float, ...]
    unclip_ratios: tuple[float, ...]
    max_candidates: tuple[int, ...]
    use_polygon: bool

    def __len__(self) -> int:  # type: ignore[override]
        return int(np.prod([len(values) for values in self[:4]]))

    def at(self, place: Sequence[int]) -> Thresholds:
        t, b, u, m = place
        return Thresholds(
            self.thresh_values[t],
            self.box_thresh_values[b],
            self.unclip_ratios[u],
            self.max_candidates[m],
            self.use_polygon,
            MIN_SIDE,
        )

    def draw(self, rng: random.Random) -> tuple[int, int, int, int]:
        t, b, u, m = (rng.randrange(len(values)) for values in self[:4])
        return t, b, u, m


def load(maps_dir: Path, images: Path, labels: Path) -> list[LabelledMap]:
    """The labelled images that have a map."""
    label_file = read_labels(labels)
    index = NameIndex(label_file.words, by_stem=label_file.names_are_stems)
    samples = []
    for path in list_images(images):
        name, map_path = index.find(path.name), maps_dir / f"{path.stem}.npy"
        if name is not None and map_path.exists():
            prob_map = np.load(map_path)
            letterbox = Letterbox(*image_size(path), prob_map.shape[0], "center")
            words = tuple(label_file.words[name])
            samples.append(LabelledMap(path.name, prob_map, letterbox, words, map_path))
    if not samples:
        raise SystemExit(f"no map in {maps_dir} belongs to an image of {labels}: make them with make_maps.py")
    return samples


def our_sweep(
    samples: Sequence[LabelledMap],
    thresh_values: Sequence[float],
    box_thresh_values: Sequence[float],
    unclip_ratios: Sequence[float],
    max_candidates: Sequence[int],
    use_polygon: bool,
    profile: Profile = "competition",
) -> NDArray[np.int32]:
    """Counts of every configuration and image, (T, B, U, M, images, 6), in the order of ``CLEvalCounts``."""
    # THE SWEEP GOES IN HERE: until then this is the plain path, one configuration after the other.
    axes = (thresh_values, box_thresh_values, unclip_ratios, max_candidates)
    counts = np.empty((*map(len, axes), len(samples), 6), dtype=np.int32)
    for index, sample in enumerate(samples):
        detector, truth = MapDetector(sample.prob_map, sample.letterbox), ImageTruth(sample.words)
        for place in product(*(range(len(values)) for values in axes)):
            values = (axis[i] for axis, i in zip(axes, place, strict=True))
            found = detector.detect(Thresholds(*values, use_polygon, MIN_SIDE)).polygons
            counts[(*place, index)] = astuple(truth.cleval(found, profile))
    return counts


def our_configuration(
    samples: Sequence[LabelledMap], truths: Sequence[ImageTruth], thresholds: Thresholds
) -> list[tuple[int, ...]]:
    """One configuration with nothing remembered from another; the words are prepared."""
    counts = []
    for sample, truth in zip(samples, truths, strict=True):
        found = MapDetector(sample.prob_map, sample.letterbox).detect(thresholds).polygons
        counts.append(astuple(truth.cleval(found, "competition")))
    return counts


def our_evaluation(
    samples: Sequence[LabelledMap], detections: Sequence[Sequence[Any]]
) -> list[tuple[int, ...]]:
    """The official profile from labels and detections as a user has them, words prepared here."""
    return [
        astuple(
            cleval(
                [word.polygon for word in sample.words],
                found,
                texts=[word.text or None for word in sample.words],
                ignored=[word.ignored for word in sample.words],
                profile="official",
            )
        )
        for sample, found in zip(samples, detections, strict=True)
    ]


def mismatches(
    samples: Sequence[LabelledMap], lattice: Lattice, counts: NDArray[np.int32], n: int
) -> tuple[int, int]:
    """How many of n random image-configurations differ from the plain path, and how many were compared."""
    rng = random.Random(SEED)
    each = -(-n // len(samples))
    wrong = 0
    for index, sample in enumerate(samples):
        detector, truth = MapDetector(sample.prob_map, sample.letterbox), ImageTruth(sample.words)
        for _ in range(each):
            place = lattice.draw(rng)
            plain = truth.cleval(detector.detect(lattice.at(place)).polygons, "competition")
            wrong += tuple(counts[(*place, index)].tolist()) != astuple(plain)
    return wrong, each * len(samples)
