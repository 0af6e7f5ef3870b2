"""What each kind of error costs in H-mean.

The cost of a kind is the macro H-mean that would be reached if the errors of that kind alone were repaired,
less the H-mean now. Repaired means, in CLEval's counts of an image:

- ``miss``, ``partial``: every lost character lies in one matched detection, so that it is found and is
  detected once (recall's and precision's numerators and precision's denominator grow);
- ``split``, ``merge``: no penalty of that kind;
- ``overlap``: a character in several matched detections is detected once;
- ``false_positive``: none is charged.

The H-mean is that of the metric's own formula, image by image, then the mean over images. Costs do not add
up to what is missing to 1: H is not linear in the counts, and an image with two kinds of error gains most
from the second one that is mended. All kinds together repaired give exactly 1 on every image with words; an
image without any scores 0 whatever is detected.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from optdet.evaluation.error_kinds import (
    ERROR_KINDS,
    DetectionOutcome,
    ErrorKind,
    ImageErrors,
    WordOutcome,
)
from optdet.metrics.bootstrap import bootstrap_interval
from optdet.metrics.cleval import CLEvalCounts

KIND_TEXTS: Final[dict[ErrorKind, str]] = {
    "miss": "missed words",
    "partial": "words found in part",
    "split": "split words",
    "merge": "detections of several words",
    "overlap": "words detected twice over",
    "false_positive": "false detections",
}
"""What is counted as an error of each kind."""
_ONE: Final[dict[ErrorKind, str]] = {
    "miss": "missed word",
    "partial": "word found in part",
    "split": "split word",
    "merge": "detection of several words",
    "overlap": "word detected twice over",
    "false_positive": "false detection",
}


def counted_kind(number: int, kind: ErrorKind) -> str:
    """``1 missed word``, ``2 words found in part``."""
    return f"{number} {(_ONE if number == 1 else KIND_TEXTS)[kind]}"


@dataclass(frozen=True, slots=True)
class KindCost:
    """One kind over all images.

    ``number`` of words, or of detections for merges and false positives, in ``n_images`` images;
    ``n_characters`` that CLEval charges for them. ``cost`` in macro H-mean, with the 95 % bootstrap interval
    over images.
    """

    kind: ErrorKind
    number: int
    n_characters: int
    n_images: int
    cost: float
    interval: tuple[float, float]

    @property
    def text(self) -> str:
        return KIND_TEXTS[self.kind]

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "text": self.text, "interval": list(self.interval)}


@dataclass(frozen=True, slots=True)
class Mismatches:
    """Missed words with a false detection on them, which is too large or lies mostly beside them: such a pair
    costs twice, as a miss and as a false positive. ``cost`` is that of both: every such word found and no
    such detection charged, with the 95 % bootstrap interval over images.
    """

    n_words: int
    n_detections: int
    cost: float
    interval: tuple[float, float]

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "interval": list(self.interval)}


def repaired(errors: ImageErrors, kinds: Collection[ErrorKind]) -> CLEvalCounts:
    """An image's counts without its errors of some kinds."""
    lost, counts = errors.lost, errors.counts

    def of(*which: ErrorKind) -> int:
        return sum(lost[kind] for kind in which if kind in kinds)

    found, false_positives = of("miss", "partial"), of("false_positive")
    return CLEvalCounts(
        num_char_gt=counts.num_char_gt,
        num_char_det=counts.num_char_det + found - of("overlap") - false_positives,
        num_char_tp=counts.num_char_tp + found,
        gran_recall=counts.gran_recall - of("split"),
        gran_precision=counts.gran_precision - of("merge"),
        num_char_fp=counts.num_char_fp - false_positives,
    )


def image_cost(errors: ImageErrors, kinds: Collection[ErrorKind]) -> float:
    """What the image's H-mean gains where they are repaired, 0..1."""
    return repaired(errors, kinds).hmean - errors.counts.hmean


def main_kind(errors: ImageErrors) -> ErrorKind | None:
    """The kind whose repair helps the image most; None where nothing is to be repaired.

    Where no single repair helps (penalties that exceed what was found), the one that costs most characters.
    """
    lost = errors.lost
    if not any(lost.values()):
        return None
    return max(ERROR_KINDS, key=lambda kind: (image_cost(errors, {kind}), lost[kind]))


def kind_costs(images: Sequence[ImageErrors]) -> tuple[KindCost, ...]:
    """Every kind, the most costly first, over at least one image.

    The order of the images decides which of them the bootstrap draws: give them by name.
    """
    numbers = [errors.numbers for errors in images]
    costs = [_kind_cost(kind, images, [each[kind] for each in numbers]) for kind in ERROR_KINDS]
    return tuple(sorted(costs, key=lambda each: (-each.cost, -each.number)))


def mismatches(images: Sequence[ImageErrors]) -> Mismatches:
    """Over at least one image, by name as ``kind_costs``."""
    gains, n_words, n_detections = [], 0, 0
    for errors in images:
        words, detections = _mismatched(errors)
        found = sum(word.n_lost for word in words)
        charged = sum(detection.n_false for detection in detections)
        counts = errors.counts
        better = replace(
            counts,
            num_char_det=counts.num_char_det + found - charged,
            num_char_tp=counts.num_char_tp + found,
            num_char_fp=counts.num_char_fp - charged,
        )
        gains.append(better.hmean - counts.hmean)
        n_words += len(words)
        n_detections += len(detections)
    return Mismatches(n_words, n_detections, math.fsum(gains) / len(gains), bootstrap_interval(gains))


def _mismatched(errors: ImageErrors) -> tuple[list[WordOutcome], list[DetectionOutcome]]:
    is_missed = [word.kind == "miss" for word in errors.words]
    is_false = [detection.kind == "false_positive" for detection in errors.detections]
    words = [
        word
        for word, missed in zip(errors.words, is_missed, strict=True)
        if missed and any(is_false[detection] for detection in word.touching)
    ]
    detections = [
        detection
        for detection, false in zip(errors.detections, is_false, strict=True)
        if false and any(is_missed[word] for word in detection.touching)
    ]
    return words, detections


def _kind_cost(kind: ErrorKind, images: Sequence[ImageErrors], numbers: Sequence[int]) -> KindCost:
    gains = [image_cost(errors, {kind}) for errors in images]
    return KindCost(
        kind=kind,
        number=sum(numbers),
        n_characters=sum(errors.lost[kind] for errors in images),
        n_images=sum(number > 0 for number in numbers),
        cost=math.fsum(gains) / len(gains),
        interval=bootstrap_interval(gains),
    )
