"""Several members' detections of one image to one set, by votes.

A cluster holds at most one detection of each member, and every two in it overlap, so that a row of boxes that
each overlap the next is no cluster. What comes of a cluster is its medoid, the detection that overlaps the
others most. It is a member's own polygon, never an average: vertices of two outlines do not correspond, and
their means collapse.

The largest cluster is taken first, and of equals the one that overlaps most; then the largest of what is
left. Each detection proposes one: itself and those that overlap it most, as long as they overlap one another.
So the largest is the largest that is proposed: where words overlap densely, a larger one may be missed (in 9
of 297 random dense images there was one full cluster less than there could be).
(Joining the pairs that overlap most first, as agglomerative clustering does, parts a word on which members
agree loosely into two clusters, neither of them with enough votes: it lost 0.024 of H-mean on the members of
``tests/benchmarks/voting.py``.)

Neither the order of the members nor that of their detections matters: both are put into one of their own
first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdet.detection.postprocess import MAX_DETECTIONS
from optdet.metrics.overlaps import DECIMALS, find_own_overlaps
from optdet.structures import Detections, FloatArray

IOU_THRESH: Final = 0.5


def majority(n_members: int) -> int:
    """The least number of members that is more than half: 3 of 5."""
    return n_members // 2 + 1


def vote(
    members: Sequence[Detections],
    *,
    min_votes: int,
    iou_thresh: float = IOU_THRESH,
    max_detections: int | None = MAX_DETECTIONS,
) -> Detections:
    """The medoids of the clusters of at least ``min_votes`` members, from top to bottom.

    A medoid's score is the mean over all members, one without a detection there counting 0. Of more than
    ``max_detections`` those of the highest scores are kept. Polygons need 3 points or more.
    """
    ballots = Ballots.of(members, lowest_iou=iou_thresh)
    return ballots.detections(ballots.clusters(iou_thresh).elect(min_votes, max_detections))


@dataclass(frozen=True, slots=True, eq=False)
class Elected:
    """Detections that were voted for: their indices among the ballots, and the scores (n,)."""

    indices: NDArray[np.intp]
    scores: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """All clusters at an ``iou_thresh`` from top to bottom, also those of one detection: the indices of each
    among the ballots, that of its medoid, and its score."""

    members: tuple[tuple[int, ...], ...]
    medoids: NDArray[np.intp]
    scores: FloatArray

    def elect(self, min_votes: int, max_detections: int | None = MAX_DETECTIONS) -> Elected:
        """See :func:`vote`."""
        chosen = np.flatnonzero([len(cluster) >= min_votes for cluster in self.members])
        if max_detections is not None and len(chosen) > max_detections:
            best = np.argsort(-self.scores[chosen], kind="stable")[:max_detections]
            chosen = chosen[np.sort(best)]
        return Elected(self.medoids[chosen], self.scores[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class Ballots:
    """All members' detections of an image, each with its member, and how they overlap.

    ``near``: by detection, those of other members that overlap it by ``lowest_iou`` or more with their IoU,
    the highest first; they serve any threshold from there on.
    """

    polygons: tuple[NDArray[Any], ...]
    scores: FloatArray
    member_of: tuple[int, ...]
    n_members: int
    lowest_iou: float
    near: tuple[Mapping[int, float], ...]

    @classmethod
    def of(cls, members: Sequence[Detections], *, lowest_iou: float = IOU_THRESH) -> Ballots:
        if not 0 < lowest_iou <= 1:
            raise ValueError(f"expected an IoU above 0 and at most 1, got {lowest_iou}")
        listed = list(_in_own_order(members))
        polygons = tuple(entry.polygon for entry in listed)
        member_of = tuple(entry.member for entry in listed)
        found = find_own_overlaps(polygons, lowest_iou)
        order = np.lexsort((found.pairs[:, 1], found.pairs[:, 0], -found.ious))
        near: tuple[dict[int, float], ...] = tuple({} for _ in listed)
        for (i, j), iou in zip(found.pairs[order].tolist(), found.ious[order].tolist(), strict=True):
            if member_of[i] != member_of[j]:
                near[i][j] = near[j][i] = iou
        scores = np.array([entry.score for entry in listed], dtype=np.float64)
        return cls(polygons, scores, member_of, len(members), lowest_iou, near)

    def clusters(self, iou_thresh: float) -> Clusters:
        """At any threshold from ``lowest_iou`` on."""
        thresh = round(iou_thresh, DECIMALS)
        if thresh < round(self.lowest_iou, DECIMALS):
            raise ValueError(f"the pairs below an IoU of {self.lowest_iou} were not kept")
        by_medoid = {self._medoid(cluster): tuple(cluster) for cluster in self._largest_first(thresh)}
        medoids = sorted(by_medoid, key=self._place)
        scores = [math.fsum(self.scores[list(by_medoid[m])]) / self.n_members for m in medoids]
        return Clusters(
            members=tuple(by_medoid[medoid] for medoid in medoids),
            medoids=np.array(medoids, dtype=np.intp),
            scores=np.array(scores, dtype=np.float64),
        )

    def _largest_first(self, thresh: float) -> Iterator[list[int]]:
        """The clusters, ascending indices in each, until no detection is left."""
        left = set(range(len(self.polygons)))
        proposed = {index: self._proposed(index, thresh, left) for index in left}
        proposers: dict[int, set[int]] = {index: set() for index in left}
        queue = []
        for index, cluster in proposed.items():
            queue.append((self._rank(cluster), index))
            for other in cluster:
                proposers[other].add(index)
        heapify(queue)
        while queue:
            rank, index = heappop(queue)
            if index not in left or rank != self._rank(proposed[index]):
                continue  # taken, or a proposal that has shrunk since
            taken = proposed[index]
            left.difference_update(taken)
            yield sorted(taken)
            # What was passed over may go without a change; a proposal that has lost a part is made anew.
            for shrunk in set().union(*(proposers[gone] for gone in taken)) & left:
                proposed[shrunk] = self._proposed(shrunk, thresh, left)
                heappush(queue, (self._rank(proposed[shrunk]), shrunk))
                for other in proposed[shrunk]:
                    proposers[other].add(shrunk)

    def _proposed(self, index: int, thresh: float, left: Set[int]) -> list[int]:
        """A detection with those left that overlap it most: of each other member at most one, and all of them
        overlapping."""
        cluster = [index]
        for other, iou in self.near[index].items():
            if iou < thresh or len(cluster) == self.n_members:
                break
            # Two of one member are never near.
            if other in left and all(self._overlap(other, inside, thresh) for inside in cluster):
                cluster.append(other)
        return cluster

    def _overlap(self, one: int, other: int, thresh: float) -> bool:
        """Also at a threshold that rounds to 0, as what does not overlap is not near."""
        return other in self.near[one] and self.near[one][other] >= thresh

    def _rank(self, cluster: Sequence[int]) -> tuple[int, float]:
        """The lowest is the first: that of the most members, then of the highest IoUs."""
        shared = (self.near[i][j] for i, j in combinations(sorted(cluster), 2))
        return -len(cluster), -round(math.fsum(shared), DECIMALS)

    def detections(self, elected: Elected) -> Detections:
        return Detections(tuple(self.polygons[index] for index in elected.indices), elected.scores)

    def _medoid(self, cluster: Sequence[int]) -> int:
        """Of equals, as of two, the one with the higher score."""

        def worth(index: int) -> tuple[float, float, int]:
            others = (self.near[index][other] for other in cluster if other != index)
            return round(math.fsum(others), DECIMALS), float(self.scores[index]), -index

        return max(cluster, key=worth)

    def _place(self, index: int) -> tuple[float, float, int]:
        x, y = np.min(self.polygons[index], axis=0)
        return float(y), float(x), index


@dataclass(frozen=True, slots=True)
class _Ballot:
    """A detection of a member."""

    polygon: NDArray[Any]
    score: float
    member: int


def _in_own_order(members: Sequence[Detections]) -> Iterator[_Ballot]:
    """Members by what they detected, and each one's detections by their points, then by score."""
    keyed = []
    for found in members:
        keys = [np.asarray(polygon, dtype=np.float64).tobytes() for polygon in found.polygons]
        keyed.append(sorted(zip(keys, found.scores.tolist(), range(len(found)), strict=True)))
    order = sorted(range(len(members)), key=lambda number: [entry[:2] for entry in keyed[number]])
    for place, number in enumerate(order):
        for _, score, index in keyed[number]:
            yield _Ballot(members[number].polygons[index], score, place)
