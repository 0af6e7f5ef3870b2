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
from optdet.metrics.cleval_pairs import find_pairs
from optdet.metrics.cleval_relations import CLEvalRelations
from optdet.metrics.clipping import all_convex_turns
from optdet.metrics.rings import (
    Bools,
    Index,
    Regions,
    Rings,
    boxes_touch,
    ranges,
    read_polygons,
    regions,
    ring_starts,
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
class CLEvalTruth:
    """One image's words, prepared; made by ``prepare_truth``. G words, C centres, word after word.

    ``points`` and ``starts`` (G + 1,) are the words' rings, cut to integers; ``turns`` (G,) is not 0 where
    the word's region is its ring and convex. ``boxes`` (G, 4) lie around the rings, ``reach`` (G, 4) around
    them and the centres. A word that the profile drops has no points.
    """

    profile: Profile
    ignored: Bools
    points: FloatArray
    starts: Index
    turns: Index
    boxes: FloatArray
    reach: FloatArray
    centres: FloatArray
    centre_starts: Index
    n_characters: int

    @property
    def min_points(self) -> int:
        """The profile drops words and detections of fewer points."""
        return _RULES[self.profile].min_points

    def relate(self, polygons: Sequence[ArrayLike]) -> CLEvalRelations:
        """Relations of detection polygons, flat or (N, 2).

        Raises ValueError with the polygon's index for NaN, and for fewer than 3 points in the official
        profile; the competition profile drops fewer than 4, which leaves an inert detection.
        """
        rules = _RULES[self.profile]
        shaped = read_polygons(polygons, "detection")
        kept = _kept(shaped, rules)
        raw = stack_rings([shaped[index] for index in kept], "detection")
        related = _relate(self, raw, rules)
        return related if len(kept) == len(shaped) else related.spread(kept, len(shaped))

    def relate_rings(self, points: NDArray[np.number], starts: Index) -> CLEvalRelations:
        """The same of D polygons of at least 3 points that lie behind one another, ``starts`` (D + 1,)."""
        rules = _RULES[self.profile]
        rings = Rings(points.astype(np.float64), np.diff(starts))
        kept = np.flatnonzero(rings.sizes >= rules.min_points)
        if len(kept) == len(rings):
            return _relate(self, rings, rules)
        return _relate(self, rings.subset(kept), rules).spread(kept, len(rings))

    def regions(self, words: Index) -> Regions:
        """The words' regions; ignored ones lose what valid words cover: a detection there is about the
        word."""
        result = self._whole(words)
        for place in np.flatnonzero(self.ignored[words]):
            over = np.flatnonzero(~self.ignored & boxes_touch(self.boxes[words[place]][None], self.boxes)[0])
            if len(over):
                result[place] = shapely.difference(result[place], shapely.union_all(self._whole(over)))
        return result

    def _whole(self, words: Index) -> Regions:
        sizes = np.diff(self.starts)[words]
        return regions(Rings(self.points[ranges(self.starts[words], sizes)], sizes))


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
    sizes = np.zeros(len(shaped), dtype=np.intp)
    sizes[kept] = raw.sizes
    boxes = np.full((len(shaped), 4), np.nan)
    boxes[kept] = truncated.boxes()
    starts, centre_starts = ring_starts(sizes), ring_starts(lengths)
    centres = rules.centres(raw, lengths[kept])
    turns = all_convex_turns(truncated.points, starts)
    for index in np.flatnonzero(flags):
        if (~flags & boxes_touch(boxes[index][None], boxes)[0]).any():
            turns[index] = 0
    return CLEvalTruth(
        profile=profile,
        ignored=flags,
        points=truncated.points,
        starts=starts,
        turns=turns,
        boxes=boxes,
        reach=_reach(boxes, centres, centre_starts),
        centres=centres,
        centre_starts=centre_starts,
        n_characters=int(lengths[~flags].sum()),
    )


def _reach(boxes: FloatArray, centres: FloatArray, starts: Index) -> FloatArray:
    """Boxes around words and their centres; for a dropped word one that nothing touches."""
    reach = np.where(np.isnan(boxes), (np.inf, np.inf, -np.inf, -np.inf), boxes)
    filled = np.flatnonzero(np.diff(starts))
    if len(filled):
        reach[filled, :2] = np.minimum(reach[filled, :2], np.minimum.reduceat(centres, starts[filled]))
        reach[filled, 2:] = np.maximum(reach[filled, 2:], np.maximum.reduceat(centres, starts[filled]))
    return reach


def _kept(shaped: Sequence[FloatArray], rules: _Rules) -> list[int]:
    return [index for index, points in enumerate(shaped) if len(points) >= rules.min_points]


def _aligned(values: Sequence[T | None] | None, n: int, name: str) -> Sequence[T | None]:
    if values is None:
        return [None] * n
    if len(values) != n:
        raise ValueError(f"{name} must have one entry for each of the {n} words, got {len(values)}")
    return values


_SHARE_SLACK: Final = 1e-7
"""Compiled areas are good to 1e-10; a share that lies this close to a limit is worked out by shapely."""


def _relate(truth: CLEvalTruth, raw: Rings, rules: _Rules) -> CLEvalRelations:
    n_detections = len(raw)
    rings = raw.truncated()
    areas = rings.outline_areas()
    pair_starts, words, n_inside, shares, centre_starts, centres = find_pairs(
        rings.points,
        ring_starts(rings.sizes),
        areas,
        truth.points,
        truth.starts,
        truth.turns,
        truth.reach,
        truth.ignored,
        truth.centres,
        truth.centre_starts,
    )
    detections = np.repeat(np.arange(n_detections), np.diff(pair_starts))
    on_ignored = truth.ignored[words]
    shares = _settled(truth, rings, areas, detections, words, shares, held=(n_inside > 0) & ~on_ignored)
    near = shares >= np.float32(AREA_PRECISION)

    ignored = _ignored_detections(detections, shares, on_ignored, n_inside, n_detections)
    held = ~on_ignored
    n_held = np.bincount(detections[held], minlength=n_detections)
    covered = np.bincount(detections[held], weights=shares[held].astype(np.float64), minlength=n_detections)
    merges = ~ignored & (n_held >= 2) & (covered >= AREA_PRECISION)
    n_near = np.bincount(detections[held & near], minlength=n_detections)
    # A detection near a valid word stays without a match only when an ignored detection disturbs the pair.
    always_matches = merges | ((n_near > 0) & (not truth.ignored.any()))
    costs = np.zeros(n_detections, dtype=np.intp)
    chargeable = np.flatnonzero(~ignored & ~always_matches)
    costs[chargeable] = rules.false_positive_costs(rules.aspect_ratios(raw.subset(chargeable)))
    related = CLEvalRelations(
        pair_starts, words, n_inside, near, centre_starts, centres, ignored, merges, costs, n_near
    )
    return related.without(detections, on_ignored) if on_ignored.any() else related


def _settled(
    truth: CLEvalTruth,
    rings: Rings,
    areas: FloatArray,
    detections: Index,
    words: Index,
    shares: FloatArray,
    held: Bools,
) -> NDArray[np.float32]:
    """Area precision of each pair, float32 as in the reference: shapely's wherever the last digits may
    matter."""
    unknown = np.isnan(shares) | (np.abs(shares - AREA_PRECISION) < _SHARE_SLACK)
    sums = np.bincount(detections, weights=np.nan_to_num(shares), minlength=len(rings))
    close = np.abs(sums - AREA_PRECISION) < _SHARE_SLACK * 10
    if (
        truth.ignored.any()
    ):  # sums over words of one kind: asked for all detections that touch an ignored word
        close |= np.bincount(detections[truth.ignored[words]], minlength=len(rings)) > 0
    unknown |= close[detections]
    unknown &= areas[detections] > 0
    index = np.flatnonzero(unknown)
    if len(index):
        met, which = np.unique(detections[index], return_inverse=True)
        asked, of = np.unique(words[index], return_inverse=True)
        shared = shared_areas(truth.regions(asked)[of], regions(rings.subset(met))[which])
        shares = shares.copy()
        shares[index] = shared / areas[detections[index]]
    return shares.astype(np.float32)


def _ignored_detections(
    detections: Index, shares: NDArray[np.float32], on_ignored: Bools, n_inside: Index, n_detections: int
) -> Bools:
    """Detections on one ignored word, or on several that they hold centres of together."""
    limit = np.float32(AREA_PRECISION)
    single = np.bincount(detections[on_ignored & (shares >= limit)], minlength=n_detections) > 0
    several = on_ignored & (n_inside > 0)
    together = np.bincount(
        detections[several], weights=shares[several].astype(np.float64), minlength=n_detections
    )
    return np.asarray(single | (together.astype(np.float32) >= limit))
