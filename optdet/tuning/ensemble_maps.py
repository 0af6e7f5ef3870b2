"""How to average: weights of the members, and thresholds of the mean.

Weights are whole numbers of 0 to 2, searched member by member from equal ones on, each set judged by the best
point of a coarse sweep of its mean maps; two members have one at least, else it would be no ensemble. Equal
weights are kept unless those that were found score higher cross-fitted: weights and thresholds chosen on four
fifths of the images, scored on the rest. The thresholds are then tuned on the mean as on any maps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from optdet.config import TuneConfig
from optdet.detection.postprocess import MapDetector
from optdet.evaluation.landscape import SweepImage, coarse_lattice
from optdet.evaluation.parallel import mapped
from optdet.evaluation.scorer import N_PARTS
from optdet.evaluation.sweep import sweep
from optdet.inference.map_mean import mean_map, whole_weights
from optdet.structures import Bar, FloatArray, Thresholds
from optdet.tuning.ensemble_scores import How, Judge, Scored, TunedDetections, mean, no_bar, tuned_maps
from optdet.tuning.sweep_space import lattices

Weights = tuple[int, ...]
LEVELS: Final = (0, 1, 2)
_MAX_ROUNDS = 4
_BETTER_BY = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class AveragedMember:
    """The maps of one member, by image; ``group`` numbers the source that its weight is that of."""

    detectors: Sequence[MapDetector]
    group: int
    sets_canvas: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class TunedMean:
    """``weights`` by group."""

    weights: tuple[float, ...]
    how: How
    thresholds: Thresholds
    scored: Scored
    equal: Scored | None
    """What equal weights score, where others were taken."""


@dataclass(frozen=True, slots=True, eq=False)
class _Means:
    """Mean maps of the members, tuned, by weights; what was worked out once is remembered."""

    members: Sequence[AveragedMember]
    judge: Judge
    search: TuneConfig
    current: Thresholds
    workers: int

    def detectors(self, weights: Sequence[float]) -> list[MapDetector]:
        """Of each image, all held at once."""
        of_members = whole_weights([weights[member.group] for member in self.members])
        used = [(member, w) for member, w in zip(self.members, of_members, strict=True) if w]

        def averaged(image: int) -> MapDetector:
            own = [member.detectors[image] for member, _ in used]
            return mean_map(own, [w for _, w in used], [member.sets_canvas for member, _ in used])

        return list(mapped(averaged, range(len(self.judge.samples)), workers=self.workers))

    def tuned(self, weights: Sequence[float], bar: Bar) -> TunedDetections:
        with bar("tuning the mean") as on_image:
            return tuned_maps(
                self.detectors(weights),
                self.judge,
                self.search,
                self.current,
                workers=self.workers,
                on_image=on_image,
            )

    def coarse_hmeans(self, weights: Weights) -> FloatArray:
        """Macro H-mean at the best point of a coarse sweep, on the images outside of each part; the last of
        all images."""
        lattice = coarse_lattice(replace(self.current, use_polygon=self._only_polygons))
        images = [
            SweepImage(sample.name, detector.half_map, detector.letterbox, sample.words)
            for sample, detector in zip(self.judge.samples, self.detectors(weights), strict=True)
        ]
        found = sweep(images, lattice, workers=self.workers)
        total, sizes = found.part_hmeans.sum(axis=-1), found.part_sizes
        outside = [
            float((total - found.part_hmeans[..., part]).max()) / max(1, int(sizes.sum() - sizes[part]))
            for part in range(N_PARTS)
        ]
        return np.array([*outside, float(total.max()) / int(sizes.sum())])

    @property
    def _only_polygons(self) -> bool:
        return all(lattice.use_polygon for lattice in lattices(self.search, self.current))


def tune_mean(
    members: Sequence[AveragedMember],
    judge: Judge,
    search: TuneConfig,
    current: Thresholds,
    *,
    weights: Sequence[float] | None = None,
    workers: int = 1,
    bar: Bar = no_bar,
) -> TunedMean:
    """The mean at ``weights``, else at the better of equal ones and those of a search."""
    means = _Means(members, judge, search, current, workers)
    n_groups = 1 + max(member.group for member in members)
    equal: Weights = (1,) * n_groups
    tuned = means.tuned(weights or equal, bar)
    scored = tuned.scored(judge)
    assert tuned.thresholds is not None  # maps are tuned
    usual = TunedMean(
        tuple(weights or equal), "given" if weights else "usual", tuned.thresholds, scored, None
    )
    if weights or n_groups == 1 or scored.crossfit is None:
        return usual
    found = _searched(means, n_groups, judge, bar)
    tuned_by: dict[Weights, TunedDetections] = {equal: tuned}
    for each in found.values():
        if each not in tuned_by:
            tuned_by[each] = means.tuned(each, bar)
    crossfit = np.array(
        [
            judge.hmean(image, tuned_by[found[part]].without(part)[image])
            for image, part in enumerate(judge.part_of.tolist())
        ]
    )
    best = tuned_by[found[None]]
    if mean(crossfit) <= mean(scored.crossfit) or found[None] == equal:
        return usual
    assert best.thresholds is not None
    of_best = judge.score(best.without(None), crossfit)
    return TunedMean(tuple(map(float, found[None])), "tuned", best.thresholds, of_best, scored)


def _searched(means: _Means, n_groups: int, judge: Judge, bar: Bar) -> dict[int | None, Weights]:
    """The weights that a search finds on all images (None), and on those outside of each part.

    The searches share what they evaluate.
    """
    known: dict[Weights, FloatArray] = {}
    n_least = 1 + n_groups * (len(LEVELS) - 1)
    with bar("searching weights") as on_step:

        def score(weights: Weights, column: int) -> float:
            if weights not in known:
                known[weights] = means.coarse_hmeans(weights)
                on_step(len(known), max(n_least, len(known) + 1))
            return float(known[weights][column])

        sizes = np.bincount([member.group for member in means.members], minlength=n_groups).tolist()
        found: dict[int | None, Weights] = {None: search_weights(sizes, partial(score, column=N_PARTS))}
        for part in judge.parts:
            found[part] = search_weights(sizes, partial(score, column=part))
        on_step(len(known), len(known))
    return found


def search_weights(sizes: Sequence[int], score: Callable[[Weights], float]) -> Weights:
    """Coordinate search from equal weights of groups of so many members: one after the other takes the level
    that scores best, until none changes. A change has to score higher and to leave two members, and the
    weights come in their smallest whole numbers.
    """
    n = len(sizes)
    least = min(2, sum(sizes))
    best: Weights = (1,) * n
    best_score = score(best)
    for _ in range(_MAX_ROUNDS):
        before = best
        for place in range(n):
            for level in LEVELS:
                tried = (*best[:place], level, *best[place + 1 :])
                if sum(size for size, weight in zip(sizes, tried, strict=True) if weight) < least:
                    continue
                tried = whole_weights(tried)
                found = score(tried)
                if found > best_score + _BETTER_BY:
                    best, best_score = tried, found
        if best == before:
            break
    return best
