"""CLEval, detection only: character-level precision, recall and H-mean of one image.

After Baek et al., "CLEval: Character-Level Evaluation for Text Detection and Recognition Tasks" (2020,
arXiv:2006.06244). Two profiles: ``official``, the authors' implementation for quads with transcriptions, and
``competition``, a receipt competition's copy of it for polygons without transcriptions. Both agree with their
reference, quirks included, count for count; ``cleval_truth`` and the modules under it hold the details.

Three steps, so that a search over thresholds pays for each only once:

    truth = prepare_truth(gt)             # once per image
    relations = truth.relate(polygons)    # once per distinct detection, in any batches
    counts = count(truth, relations)      # once per configuration
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optdet.metrics import scores
from optdet.metrics.cleval_matching import count_all, match_all
from optdet.metrics.cleval_relations import CLEvalRelations
from optdet.metrics.cleval_truth import CLEvalTruth, prepare_truth
from optdet.metrics.rings import Bools, Index
from optdet.structures import FloatArray, Profile

MAX_DETECTIONS: Final = 500
"""The competition's copy reads no more than the first 500 detections of an image."""


@dataclass(frozen=True, slots=True)
class CLEvalCounts:
    """Characters of one image, or summed over several.

    ``num_char_tp``: distinct matched centres. ``num_char_det``: matched centres, those in two detections
    twice, and the false positives' ``num_char_fp``. ``gran_recall`` and ``gran_precision`` are the penalties
    for words split over several detections, and for detections that span several words.
    """

    num_char_gt: int
    num_char_det: int
    num_char_tp: int
    gran_recall: int
    gran_precision: int
    num_char_fp: int

    @property
    def precision(self) -> float:
        correct = max(0, self.num_char_tp - self.gran_precision)
        return correct / self.num_char_det if self.num_char_det else 0.0

    @property
    def recall(self) -> float:
        correct = max(0, self.num_char_tp - self.gran_recall)
        return correct / self.num_char_gt if self.num_char_gt else 0.0

    @property
    def hmean(self) -> float:
        return scores.hmean(self.precision, self.recall)

    def __add__(self, other: CLEvalCounts) -> CLEvalCounts:
        return CLEvalCounts(
            num_char_gt=self.num_char_gt + other.num_char_gt,
            num_char_det=self.num_char_det + other.num_char_det,
            num_char_tp=self.num_char_tp + other.num_char_tp,
            gran_recall=self.gran_recall + other.gran_recall,
            gran_precision=self.gran_precision + other.gran_precision,
            num_char_fp=self.num_char_fp + other.num_char_fp,
        )


@dataclass(frozen=True, slots=True, eq=False)
class CLEvalMatching:
    """The counts of some detections, and what they rest on.

    ``matched`` says of each pair of the relations (pairs,) whether it matches, ``covered`` of each of the
    truth's centres (C,) how many matched detections hold it: ``num_char_tp`` are those that any does. Neither
    ever happens to an ignored word.
    """

    counts: CLEvalCounts
    matched: Bools
    covered: NDArray[np.int32]


def count_rows(per_image: Sequence[CLEvalCounts]) -> FloatArray:
    """The counts of images as rows (n, 6), whose sums ``scores_of_sums`` takes."""
    return np.array([astuple(counts) for counts in per_image], dtype=np.float64).reshape(-1, 6)


def scores_of_sums(sums: FloatArray) -> FloatArray:
    """Precision, recall and H-mean (r, 3) of sums of ``count_rows`` (r, 6), as ``CLEvalCounts`` has them."""
    n_gt, n_det, n_found, gran_recall, gran_precision, _ = sums.T
    precision = _ratio(np.maximum(0, n_found - gran_precision), n_det)
    recall = _ratio(np.maximum(0, n_found - gran_recall), n_gt)
    return np.stack([precision, recall, _ratio(2 * precision * recall, precision + recall)], axis=1)


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def cleval(
    gt: Sequence[ArrayLike],
    det: Sequence[ArrayLike],
    *,
    texts: Sequence[str | None] | None = None,
    ignored: Sequence[bool] | None = None,
    profile: Profile = "competition",
) -> CLEvalCounts:
    """Score the detections of one image; polygons are flat ``x y x y ...`` or (N, 2), in pixels.

    The competition profile does not read ``texts``, drops polygons of fewer than 4 points and everything
    behind the first 500 detections. Raises ValueError as ``prepare_truth`` and ``CLEvalTruth.relate`` do.
    """
    truth = prepare_truth(gt, texts=texts, ignored=ignored, profile=profile)
    read = det[:MAX_DETECTIONS] if profile == "competition" else det
    return count(truth, truth.relate(read))


def count(
    truth: CLEvalTruth, relations: CLEvalRelations, chosen: NDArray[np.integer] | None = None
) -> CLEvalCounts:
    """Match the detections with the words; all of them, or those of the indices ``chosen``, in any order.

    A pair is a word and a detection that holds at least one of the word's centres; it is near if enough of
    the detection lies on the word. A near pair matches where the word has no other near detection and the
    detection no other near word, or where the word has two or more valid near detections; all pairs of a
    detection that merges match.
    """
    detections = _detections(relations, chosen)
    totals = count_all(detections, len(truth.ignored), len(truth.centres), relations.tables())
    return counts_of(totals.tolist(), truth.n_characters)


def match(
    truth: CLEvalTruth, relations: CLEvalRelations, chosen: NDArray[np.integer] | None = None
) -> CLEvalMatching:
    """``count``, and what it rests on."""
    detections = _detections(relations, chosen)
    totals, covered, pairs = match_all(detections, len(truth.ignored), len(truth.centres), relations.tables())
    matched = np.zeros(len(relations.words), dtype=np.bool_)
    matched[pairs] = True
    return CLEvalMatching(counts_of(totals.tolist(), truth.n_characters), matched, covered)


def _detections(relations: CLEvalRelations, chosen: NDArray[np.integer] | None) -> Index:
    return np.arange(len(relations)) if chosen is None else np.asarray(chosen, dtype=np.intp)


def counts_of(totals: Sequence[int], n_characters: int) -> CLEvalCounts:
    """The record of a row of ``cleval_matching``'s totals."""
    held, found, splits, merges, false_positives = totals
    return CLEvalCounts(
        num_char_gt=n_characters,
        num_char_det=held + false_positives,
        num_char_tp=found,
        gran_recall=splits,
        gran_precision=merges,
        num_char_fp=false_positives,
    )


__all__ = [
    "CLEvalCounts",
    "CLEvalMatching",
    "CLEvalRelations",
    "CLEvalTruth",
    "cleval",
    "count",
    "count_rows",
    "counts_of",
    "match",
    "prepare_truth",
    "scores_of_sums",
]
