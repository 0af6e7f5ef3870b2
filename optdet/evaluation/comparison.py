"""Two sets of detections on the same labelled images: what differs, where, and how surely.

Every difference is B - A. Both are scored on the images of the words; an image without detections counts as
empty. The order in which the images are given moves no digit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from optdet.evaluation.difference import Difference, difference_of_means, difference_of_sums
from optdet.evaluation.groups import Group, by_density, by_word_size
from optdet.evaluation.truth import ImageCounts, ImageTruth, Polygon
from optdet.metrics.cleval import count_rows, scores_of_sums
from optdet.metrics.scores import Counts
from optdet.structures import FloatArray, Word

N_SHOWN = 10
"""Images most helped, and most harmed, that a comparison names."""
_PARTS = ("precision", "recall", "hmean")


@dataclass(frozen=True, slots=True)
class PRHDifference:
    """Precision, recall and H-mean of A and B."""

    precision: Difference
    recall: Difference
    hmean: Difference

    def as_json(self) -> dict[str, Any]:
        return {part: getattr(self, part).as_json() for part in _PARTS}


@dataclass(frozen=True, slots=True)
class ImageDifference:
    """One image: competition scores of A and B, 0..1, and its number of words."""

    image: str
    words: int
    hmean_a: float
    hmean_b: float
    difference: float
    precision_a: float
    precision_b: float
    recall_a: float
    recall_b: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Competition profile unless named otherwise; ``images`` by name."""

    macro: PRHDifference
    global_: PRHDifference
    official: PRHDifference
    iou: PRHDifference
    word_size: tuple[Group, ...]
    density: tuple[Group, ...]
    images: tuple[ImageDifference, ...]

    def helped(self, n: int = N_SHOWN) -> list[ImageDifference]:
        """At most ``n`` images in which B is better than A, the most helped first."""
        better = [image for image in self.images if image.difference > 0]
        return sorted(better, key=lambda image: (-image.difference, image.image))[:n]

    def harmed(self, n: int = N_SHOWN) -> list[ImageDifference]:
        """At most ``n`` images in which B is worse than A, the most harmed first."""
        worse = [image for image in self.images if image.difference < 0]
        return sorted(worse, key=lambda image: (image.difference, image.image))[:n]

    def as_json(self) -> dict[str, Any]:
        """As a scores object, with a difference in place of each score; groups and images beside it."""
        return {
            "images": len(self.images),
            "competition": {"macro": self.macro.as_json(), "global": self.global_.as_json()},
            "official": {"macro": self.official.as_json()},
            "iou": {"macro": self.iou.as_json()},
            "word_size": [_group_json(group, "words", "recall") for group in self.word_size],
            "density": [_group_json(group, "images", "hmean") for group in self.density],
            "helped": [asdict(image) for image in self.helped()],
            "harmed": [asdict(image) for image in self.harmed()],
        }


def compare(
    words: Mapping[str, Sequence[Word]],
    a: Mapping[str, Sequence[Polygon]],
    b: Mapping[str, Sequence[Polygon]],
) -> Comparison:
    """Score both on the images of ``words``; polygons by image name. Raises ValueError for no images."""
    if not words:
        raise ValueError("no images to compare")
    # By name, as the bootstrap draws by place: the order of a label file must not move an interval.
    names = sorted(words)
    # Not in threads: too little of it runs without the interpreter, and they would wait for each other.
    both = [
        ImageTruth(words[name]).counts_and_characters([side.get(name, ()) for side in (a, b)])
        for name in names
    ]
    counts = [(of_a[0], of_b[0]) for of_a, of_b in both]
    characters = [(of_a[1], of_b[1]) for of_a, of_b in both]
    images = tuple(_image(name, len(words[name]), *sides) for name, sides in zip(names, counts, strict=True))
    return Comparison(
        macro=_macro(counts, lambda count: count.competition),
        global_=_global(counts),
        official=_macro(counts, lambda count: count.official),
        iou=_macro(counts, lambda count: count.iou),
        word_size=by_word_size([words[name] for name in names], *zip(*characters, strict=True)),
        density=by_density(
            [image.words for image in images],
            np.array([image.hmean_a for image in images]),
            np.array([image.hmean_b for image in images]),
        ),
        images=images,
    )


def _image(name: str, n_words: int, a: ImageCounts, b: ImageCounts) -> ImageDifference:
    of_a, of_b = a.competition, b.competition
    return ImageDifference(
        image=name,
        words=n_words,
        hmean_a=of_a.hmean,
        hmean_b=of_b.hmean,
        difference=of_b.hmean - of_a.hmean,
        precision_a=of_a.precision,
        precision_b=of_b.precision,
        recall_a=of_a.recall,
        recall_b=of_b.recall,
    )


def _macro(
    counts: Sequence[tuple[ImageCounts, ImageCounts]], metric: Callable[[ImageCounts], Counts]
) -> PRHDifference:
    def of(part: str) -> Difference:
        scores = np.array([[getattr(metric(side), part) for side in both] for both in counts])
        return difference_of_means(scores[:, 0], scores[:, 1])

    return PRHDifference(*(of(part) for part in _PARTS))


def _global(counts: Sequence[tuple[ImageCounts, ImageCounts]]) -> PRHDifference:
    a = count_rows([first.competition for first, _ in counts])
    b = count_rows([second.competition for _, second in counts])

    def of(column: int) -> Difference:
        def score(sums: FloatArray) -> FloatArray:
            return scores_of_sums(sums)[:, column]

        return difference_of_sums(a, b, score)

    return PRHDifference(*(of(column) for column in range(len(_PARTS))))


def _group_json(group: Group, members: str, score: str) -> dict[str, Any]:
    return {
        "group": group.name,
        members: group.n_members,
        "low": group.low,
        "high": group.high,
        score: None if group.score is None else group.score.as_json(),
    }
