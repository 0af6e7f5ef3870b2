"""What ``inner_loop.py`` measures of optdet: sweep, one configuration, one evaluation; and the check."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optdet.data.images import image_size, list_images
from optdet.data.labels import read_labels
from optdet.data.names import NameIndex
from optdet.detection.lattice import find_candidates
from optdet.detection.postprocess import MapDetector
from optdet.evaluation.landscape import Landscape, SweepImage, SweepLattice, chosen_shapes
from optdet.evaluation.sweep import sweep
from optdet.evaluation.truth import ImageTruth
from optdet.geometry.letterbox import Letterbox
from optdet.metrics.cleval import CLEvalTruth, cleval, count
from optdet.structures import Metric, Thresholds, Word

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
    lattice: Lattice,
    metric: Metric = "competition",
    *,
    by_image: bool = False,
) -> Landscape:
    """Scores of every configuration of the lattice, one thread; ``by_image`` keeps each image's H-mean."""
    images = [SweepImage(s.name, s.prob_map, s.letterbox, s.words) for s in samples]
    swept = SweepLattice(
        thresh=lattice.thresh_values,
        box_thresh=lattice.box_thresh_values,
        unclip_ratio=lattice.unclip_ratios,
        max_candidates=lattice.max_candidates,
        use_polygon=lattice.use_polygon,
        min_side=MIN_SIDE,
    )
    return sweep(images, swept, metric=metric, by_image=by_image)


def our_configuration(
    samples: Sequence[LabelledMap], truths: Sequence[CLEvalTruth], thresholds: Thresholds
) -> list[tuple[int, ...]]:
    """One configuration with nothing remembered from another; the words are prepared."""
    counts = []
    for sample, truth in zip(samples, truths, strict=True):
        found = find_candidates(
            sample.prob_map,
            sample.letterbox,
            (thresholds.thresh,),
            (thresholds.unclip_ratio,),
            use_polygon=thresholds.use_polygon,
            min_side=thresholds.min_side,
        )
        shapes = chosen_shapes(found, 0, 0, thresholds)
        polygons = [found.polygon(index) for index in found.polygon_of[0, shapes]]
        counts.append(astuple(count(truth, truth.relate(polygons))))
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
    samples: Sequence[LabelledMap], lattice: Lattice, n: int, metric: Metric = "competition"
) -> tuple[int, int]:
    """How many of n random image-configurations differ from the plain path, and how many were compared.

    Detections have to be the same, polygon for polygon and score for score, and H-means in float32.
    """
    landscape = our_sweep(samples, lattice, metric, by_image=True)
    assert landscape.image_hmeans is not None
    n_limits = len(landscape.lattice.max_candidates)
    rng = random.Random(SEED)
    each = -(-n // len(samples))
    wrong = 0
    for index, sample in enumerate(samples):
        detector, truth = MapDetector(sample.prob_map, sample.letterbox), ImageTruth(sample.words)
        for _ in range(each):
            t, b, u, m = lattice.draw(rng)
            plain, ours = (
                detector.detect(lattice.at((t, b, u, m))),
                landscape.detect(index, lattice.at((t, b, u, m))),
            )
            hmean = landscape.image_hmeans[t, u, min(m, n_limits - 1), b, index]
            same = ours is not None and len(ours) == len(plain) and np.array_equal(ours.scores, plain.scores)
            same = same and all(map(np.array_equal, ours.polygons, plain.polygons))
            wrong += not same or hmean != np.float32(truth.counts_of(metric, plain.polygons).hmean)
    return wrong, each * len(samples)
