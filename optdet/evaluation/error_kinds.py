"""What CLEval decides about every word and every detection of one image, and the characters each costs.

The matching is the metric's own (``cleval.match``), not a second opinion: the outcomes of an image add up to
its counts, character for character. What goes wrong is of one of six kinds, which together are all that
keeps an image from an H-mean of 1:

- ``miss``: a word that nothing matches; all its characters are lost;
- ``partial``: characters of a matched word that no matched detection holds;
- ``split``: a word that several detections match; each but one costs a character of recall;
- ``merge``: a detection that matches several words; each but one costs a character of precision;
- ``overlap``: characters that several matched detections hold; each time but one, they count as wrong;
- ``false_positive``: a detection that matches nothing; it costs the characters that its shape has room for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from optdet.evaluation.truth import Polygon, cleval_truth
from optdet.metrics import cleval
from optdet.metrics.cleval import CLEvalCounts, CLEvalMatching
from optdet.metrics.cleval_relations import CLEvalRelations
from optdet.metrics.cleval_truth import CLEvalTruth
from optdet.metrics.rings import Bools, Index
from optdet.structures import Profile, Word

ErrorKind = Literal["miss", "partial", "split", "merge", "overlap", "false_positive"]
ERROR_KINDS: Final[tuple[ErrorKind, ...]] = (
    "miss",
    "partial",
    "split",
    "merge",
    "overlap",
    "false_positive",
)
WordKind = Literal["hit", "partial", "split", "merge", "miss", "ignored", "unread"]
DetectionKind = Literal["hit", "split", "overlap", "merge", "false_positive", "ignored", "unread"]


@dataclass(frozen=True, slots=True)
class WordOutcome:
    """What became of one word.

    ``kind`` is the gravest thing, in the order miss, split, merge, partial, hit: ``n_splits``, ``merged``,
    ``n_lost`` and ``n_overlapped`` say all. ``ignored`` words count for nothing; the profile does not read
    ``unread`` ones (fewer than 4 points). ``detections`` match it; ``touching`` hold one of its characters
    and do not match. ``n_characters`` are those that CLEval gives it, 0 where it counts for nothing;
    ``n_found`` lie in a matched detection; ``n_overlapped`` is how often one lies in a further one.
    """

    kind: WordKind
    detections: tuple[int, ...]
    touching: tuple[int, ...]
    n_characters: int
    n_found: int
    n_overlapped: int
    merged: bool

    @property
    def counts(self) -> bool:
        return self.kind not in ("ignored", "unread")

    @property
    def n_lost(self) -> int:
        """Characters in no matched detection."""
        return self.n_characters - self.n_found

    @property
    def n_splits(self) -> int:
        """The penalty in recall for its being split."""
        return max(len(self.detections) - 1, 0)


@dataclass(frozen=True, slots=True)
class DetectionOutcome:
    """What became of one detection.

    ``kind`` is the gravest thing, in the order false positive, merge, overlap, split, hit. A ``split`` is
    part of a word that several detections match, an ``overlap`` one that shares characters with another of
    them (CLEval does not say which of the two is the better). ``ignored`` ones lie on ignored words; the
    profile does not read ``unread`` ones (fewer than 4 points, behind the first 500). ``words`` are matched;
    ``touching`` have a character in it and are not. ``n_held`` are the characters in its matches,
    ``n_shared`` those of them that another matched detection holds, too; ``n_false`` are what it is charged
    as a false positive.
    """

    kind: DetectionKind
    words: tuple[int, ...]
    touching: tuple[int, ...]
    n_held: int
    n_shared: int
    n_false: int

    @property
    def counts(self) -> bool:
        return self.kind not in ("ignored", "unread")

    @property
    def n_merges(self) -> int:
        """The penalty in precision for its spanning several words."""
        return max(len(self.words) - 1, 0)


@dataclass(frozen=True, slots=True)
class ImageErrors:
    """Outcomes in the order of the words and of the detections; ``counts`` are CLEval's."""

    words: tuple[WordOutcome, ...]
    detections: tuple[DetectionOutcome, ...]
    counts: CLEvalCounts

    @property
    def lost(self) -> Mapping[ErrorKind, int]:
        """The characters that each kind of error costs."""
        n_missed = sum(word.n_lost for word in self.words if word.kind == "miss")
        return {
            "miss": n_missed,
            "partial": self.counts.num_char_gt - self.counts.num_char_tp - n_missed,
            "split": self.counts.gran_recall,
            "merge": self.counts.gran_precision,
            "overlap": sum(word.n_overlapped for word in self.words),
            "false_positive": self.counts.num_char_fp,
        }

    @property
    def numbers(self) -> Mapping[ErrorKind, int]:
        """How many words, and of merges and false positives how many detections, have each error."""
        return {
            "miss": sum(word.kind == "miss" for word in self.words),
            "partial": sum(word.n_lost > 0 and word.kind != "miss" for word in self.words),
            "split": sum(word.n_splits > 0 for word in self.words),
            "merge": sum(detection.n_merges > 0 for detection in self.detections),
            "overlap": sum(word.n_overlapped > 0 for word in self.words),
            "false_positive": sum(detection.kind == "false_positive" for detection in self.detections),
        }


def find_errors(
    words: Sequence[Word], polygons: Sequence[Polygon], profile: Profile = "competition"
) -> ImageErrors:
    """The outcomes of one image's words and detections, which are polygons in image pixels.

    Raises ValueError as ``cleval.cleval`` does.
    """
    truth = cleval_truth(words, profile)
    read = polygons[: cleval.MAX_DETECTIONS] if profile == "competition" else polygons
    relations = truth.relate(read)
    matching = cleval.match(truth, relations)
    return ImageErrors(
        words=_words(truth, relations, matching),
        detections=_detections(truth, relations, matching, polygons),
        counts=matching.counts,
    )


def _words(
    truth: CLEvalTruth, relations: CLEvalRelations, matching: CLEvalMatching
) -> tuple[WordOutcome, ...]:
    detections = _detections_of_pairs(relations)
    n = len(truth.ignored)
    partners = _partners(relations.words, detections, matching.matched, n)
    others = _partners(relations.words, detections, ~matching.matched, n)
    merging = np.bincount(detections[matching.matched], minlength=len(relations)) > 1
    lengths = np.where(truth.ignored, 0, np.diff(truth.centre_starts))
    found = _sums(matching.covered > 0, truth.centre_starts)
    overlapped = _sums(np.maximum(matching.covered - 1, 0), truth.centre_starts)
    outcomes = []
    for word, matched in enumerate(partners):
        n_characters, n_found = int(lengths[word]), int(found[word])
        is_merged = any(merging[detection] for detection in matched)
        outcomes.append(
            WordOutcome(
                kind=_word_kind(bool(truth.ignored[word]), n_characters, n_found, len(matched), is_merged),
                detections=matched,
                touching=others[word],
                n_characters=n_characters,
                n_found=n_found,
                n_overlapped=int(overlapped[word]),
                merged=is_merged,
            )
        )
    return tuple(outcomes)


def _word_kind(
    is_ignored: bool, n_characters: int, n_found: int, n_matches: int, is_merged: bool
) -> WordKind:
    if is_ignored:
        return "ignored"
    if not n_characters:
        return "unread"
    if not n_matches:
        return "miss"
    if n_matches > 1:
        return "split"
    if is_merged:
        return "merge"
    return "hit" if n_found == n_characters else "partial"


def _detections(
    truth: CLEvalTruth,
    relations: CLEvalRelations,
    matching: CLEvalMatching,
    polygons: Sequence[Polygon],
) -> tuple[DetectionOutcome, ...]:
    detections = _detections_of_pairs(relations)
    n = len(relations)
    partners = _partners(detections, relations.words, matching.matched, n)
    others = _partners(detections, relations.words, ~matching.matched, n)
    n_matches = np.bincount(relations.words[matching.matched], minlength=len(truth.ignored))
    shared = _sums(matching.covered[relations.centres] > 1, relations.centre_starts)

    def by_detection(values: Index) -> Index:
        of_matched = np.where(matching.matched, values, 0)
        return np.bincount(detections, weights=of_matched, minlength=n).astype(np.intp)

    n_held, n_shared = by_detection(relations.n_inside.astype(np.intp)), by_detection(shared)
    outcomes = []
    for detection, matched in enumerate(partners):
        is_split = any(n_matches[word] > 1 for word in matched)
        kind: DetectionKind
        if np.asarray(polygons[detection]).size < 2 * truth.min_points:
            kind = "unread"
        elif relations.ignored[detection]:
            kind = "ignored"
        elif not matched:
            kind = "false_positive"
        elif len(matched) > 1:
            kind = "merge"
        elif n_shared[detection]:
            kind = "overlap"
        else:
            kind = "split" if is_split else "hit"
        n_false = int(relations.costs[detection]) if kind == "false_positive" else 0
        outcomes.append(
            DetectionOutcome(
                kind, matched, others[detection], int(n_held[detection]), int(n_shared[detection]), n_false
            )
        )
    unread = DetectionOutcome("unread", (), (), 0, 0, 0)
    return (*outcomes, *[unread] * (len(polygons) - n))


def _detections_of_pairs(relations: CLEvalRelations) -> Index:
    return np.repeat(np.arange(len(relations)), np.diff(relations.pair_starts))


def _partners(
    owners: np.ndarray[Any, Any], partners: np.ndarray[Any, Any], chosen: Bools, n: int
) -> list[tuple[int, ...]]:
    """Of each of ``n`` owners the partners in the chosen pairs."""
    found: list[list[int]] = [[] for _ in range(n)]
    for owner, partner in zip(owners[chosen].tolist(), partners[chosen].tolist(), strict=True):
        found[owner].append(partner)
    return [tuple(each) for each in found]


def _sums(values: np.ndarray[Any, Any], starts: Index) -> Index:
    """Of the values between each start and the next."""
    return np.diff(np.concatenate([[0], np.cumsum(values)])[starts])
