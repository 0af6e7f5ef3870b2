"""The ground truth of one image as CLEval sees it, and how single detections relate to it.

CLEval (Baek et al., 2020, arXiv:2006.06244) places pseudo character centres along each word and asks which
detections hold them. What follows from one detection alone is worked out here, once: a threshold search
meets the same polygon in thousands of configurations. ``cleval.count`` does what depends on all of them.

Polygons are truncated to integers for areas and for "inside"; aspect ratios and centres use the
coordinates as given. Words and detections keep their indices: one that a profile drops is inert, not gone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from optdet.metrics import cleval_competition, cleval_official
from optdet.metrics.rings import (
    Bools,
    Index,
    Regions,
    Rings,
    boxes_touch,
    points_inside,
    ranges,
    read_polygons,
    regions,
    shared_areas,
    stack_rings,
)
from optdet.structures import PROFILES, FloatArray, Profile

T = TypeVar("T")

AREA_PRECISION: Final = 0.3
"""A detection belongs to a word when at least this share of its area lies on the word."""

IGNORED_TEXT: Final = "###"


@dataclass(frozen=True, slots=True)
class _Rules:
    """What the two profiles do differently; polygons of fewer than ``min_points`` are dropped."""

    min_points: int
    reads_texts: bool
    aspect_ratios: Callable[[Rings], FloatArray]
    pseudo_lengths: Callable[[FloatArray], Index]
    false_positive_costs: Callable[[FloatArray], Index]
    centres: Callable[[Rings, Index], FloatArray]


_RULES: Final[dict[Profile, _Rules]] = {
    "competition": _Rules(
        min_points=4,
        reads_texts=False,
        aspect_ratios=cleval_competition.aspect_ratios,
        pseudo_lengths=cleval_competition.pseudo_lengths,
        false_positive_costs=cleval_competition.false_positive_costs,
        centres=cleval_competition.centres,
    ),
    "official": _Rules(
        min_points=0,
        reads_texts=True,
        aspect_ratios=cleval_official.aspect_ratios,
        pseudo_lengths=cleval_official.pseudo_lengths,
        false_positive_costs=cleval_official.false_positive_costs,
        centres=cleval_official.centres,
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class CLEvalRelation:
    """One detection against the valid words, whatever else is detected.

    ``words`` (k,) are those with a centre inside, in ascending order; ``n_inside`` (k,) says how many, and
    ``near`` (k,) whether the area precision suffices. ``centres`` are the centres' own indices, word after
    word. ``ignored``: a don't-care detection. ``merges``: it covers several words as a whole.
    ``false_positive_cost``: characters charged while nothing matches, 0 where that cannot happen.
    """

    words: Index
    n_inside: Index
    near: Bools
    centres: Index
    ignored: bool
    merges: bool
    false_positive_cost: int


@dataclass(frozen=True, slots=True, eq=False)
class CLEvalTruth:
    """One image's words, prepared; made by ``prepare_truth``. G words, C centres, word after word.

    ``areas`` (G,) are shapely regions, ``boxes`` (G, 4) around the words, ``centre_words`` (C,) ascending.
    """

    profile: Profile
    ignored: Bools
    areas: Regions
    boxes: FloatArray
    centres: FloatArray
    centre_words: Index
    n_characters: int

    def relate(self, polygons: Sequence[ArrayLike]) -> list[CLEvalRelation]:
        """One relation per detection polygon, flat or (N, 2).

        Raises ValueError with the polygon's index for NaN, and for fewer than 3 points in the official
        profile; the competition profile drops fewer than 4, which leaves an inert relation.
        """
        rules = _RULES[self.profile]
        shaped = read_polygons(polygons, "detection")
        kept = _kept(shaped, rules)
        raw = stack_rings([shaped[index] for index in kept], "detection")
        related = _relate(self, raw, rules)
        if len(kept) == len(shaped):
            return related
        result = [_INERT] * len(shaped)
        for index, relation in zip(kept, related, strict=True):
            result[index] = relation
        return result


_NO_INDICES: Final[Index] = np.zeros(0, dtype=np.intp)
_INERT: Final = CLEvalRelation(
    words=_NO_INDICES,
    n_inside=_NO_INDICES,
    near=np.zeros(0, dtype=np.bool_),
    centres=_NO_INDICES,
    ignored=True,
    merges=False,
    false_positive_cost=0,
)


def prepare_truth(
    gt: Sequence[ArrayLike],
    texts: Sequence[str | None] | None = None,
    ignored: Sequence[bool] | None = None,
    profile: Profile = "competition",
) -> CLEvalTruth:
    """The words of one image; ``texts`` counts in the official profile alone, where ``###`` is ignored too.

    A word without a text has a pseudo length. Raises ValueError for NaN, for lists of different lengths and,
    in the official profile, for fewer than 3 points.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile must be one of {', '.join(PROFILES)}, got {profile!r}")
    rules = _RULES[profile]
    shaped = read_polygons(gt, "word")
    words = _aligned(texts, len(shaped), "texts") if rules.reads_texts else [None] * len(shaped)
    flags = np.array([bool(flag) for flag in _aligned(ignored, len(shaped), "ignored")], dtype=np.bool_)
    flags |= np.array([text == IGNORED_TEXT for text in words], dtype=np.bool_)
    kept = np.array(_kept(shaped, rules), dtype=np.intp)
    raw = stack_rings([shaped[index] for index in kept], "word")

    lengths = np.zeros(len(shaped), dtype=np.intp)
    lengths[kept] = rules.pseudo_lengths(rules.aspect_ratios(raw))
    for index in kept:
        text = words[index]
        if text is not None and not flags[index]:
            lengths[index] = len(text)
    truncated = raw.truncated()
    boxes = np.full((len(shaped), 4), np.nan)
    boxes[kept] = truncated.boxes()
    areas = np.full(len(shaped), shapely.Polygon(), dtype=np.object_)
    areas[kept] = regions(truncated)
    return CLEvalTruth(
        profile=profile,
        ignored=flags,
        areas=_without_valid_words(areas, boxes, flags),
        boxes=boxes,
        centres=rules.centres(raw, lengths[kept]),
        centre_words=np.repeat(kept, lengths[kept]),
        n_characters=int(lengths[~flags].sum()),
    )


def _kept(shaped: Sequence[FloatArray], rules: _Rules) -> list[int]:
    return [index for index, points in enumerate(shaped) if len(points) >= rules.min_points]


def _aligned(values: Sequence[T | None] | None, n: int, name: str) -> Sequence[T | None]:
    if values is None:
        return [None] * n
    if len(values) != n:
        raise ValueError(f"{name} must have one entry for each of the {n} words, got {len(values)}")
    return values


def _without_valid_words(areas: Regions, boxes: FloatArray, ignored: Bools) -> Regions:
    """Ignored regions lose what valid words cover: a detection there is about the word."""
    result = areas.copy()
    valid = np.flatnonzero(~ignored)
    for index in np.flatnonzero(ignored):
        over = valid[boxes_touch(boxes[index : index + 1], boxes[valid])[0]]
        if len(over):
            result[index] = shapely.difference(areas[index], shapely.union_all(areas[over]))
    return result


def _relate(truth: CLEvalTruth, raw: Rings, rules: _Rules) -> list[CLEvalRelation]:
    n_words, n_detections = len(truth.ignored), len(raw)
    rings = raw.truncated()
    detection, centre = points_inside(truth.centres, rings)
    word = truth.centre_words[centre]
    inside = np.bincount(word * n_detections + detection, minlength=n_words * n_detections)
    inside = inside.reshape(n_words, n_detections)
    precision = _area_precision(truth, rings, inside > 0)
    near = precision >= np.float32(AREA_PRECISION)

    ignored = _ignored_detections(precision[truth.ignored], inside[truth.ignored] > 0)
    held = (inside > 0) & ~truth.ignored[:, None]
    covered = np.where(held, precision, 0).sum(axis=0, dtype=np.float64)
    merges = ~ignored & (held.sum(axis=0) >= 2) & (covered >= AREA_PRECISION)
    # A detection near a valid word stays without a match only when an ignored detection disturbs the pair.
    always_matches = merges | ((near & held).any(axis=0) & (not truth.ignored.any()))
    costs = np.zeros(n_detections, dtype=np.intp)
    chargeable = np.flatnonzero(~ignored & ~always_matches)
    costs[chargeable] = rules.false_positive_costs(rules.aspect_ratios(_subset(raw, chargeable)))

    valid = ~truth.ignored[word]
    centre, detection = centre[valid], detection[valid]
    pair_detection, pair_word = np.nonzero(held.T)
    pair_inside, pair_near = inside[pair_word, pair_detection], near[pair_word, pair_detection]
    pairs = np.searchsorted(pair_detection, np.arange(n_detections + 1)).tolist()
    centres = np.searchsorted(detection, np.arange(n_detections + 1)).tolist()
    facts = zip(ignored.tolist(), merges.tolist(), costs.tolist(), strict=True)
    return [
        CLEvalRelation(
            words=pair_word[pairs[index] : pairs[index + 1]],
            n_inside=pair_inside[pairs[index] : pairs[index + 1]],
            near=pair_near[pairs[index] : pairs[index + 1]],
            centres=centre[centres[index] : centres[index + 1]],
            ignored=is_ignored,
            merges=is_merging,
            false_positive_cost=cost,
        )
        for index, (is_ignored, is_merging, cost) in enumerate(facts)
    ]


def _area_precision(truth: CLEvalTruth, rings: Rings, held: Bools) -> NDArray[np.float32]:
    """Share of each detection's area on each word, (G, D), float32 as in the reference.

    It is worked out where it can matter, which is words with a centre inside and ignored words; else 0.
    """
    result = np.zeros(held.shape, dtype=np.float32)
    areas = rings.outline_areas()
    needed = held.copy()
    needed[truth.ignored] |= boxes_touch(truth.boxes[truth.ignored], rings.boxes())
    word, detection = np.nonzero(needed & (areas > 0))
    if len(word):
        shapes = np.full(len(rings), None, dtype=np.object_)
        met = np.unique(detection)
        shapes[met] = regions(_subset(rings, met))
        shared = shared_areas(truth.areas[word], shapes[detection])
        result[word, detection] = shared / areas[detection]
    return result


def _ignored_detections(precision: NDArray[np.float32], held: Bools) -> Bools:
    """Detections on one ignored word, or on several together: both arrays hold the ignored words' rows."""
    threshold = np.float32(AREA_PRECISION)
    together = np.where(held, precision, 0).sum(axis=0, dtype=np.float64).astype(np.float32)
    return np.asarray((precision >= threshold).any(axis=0) | (together >= threshold))


def _subset(rings: Rings, indices: Index) -> Rings:
    sizes = rings.sizes[indices]
    return Rings(rings.points[ranges(rings.starts[indices], sizes)], sizes)
