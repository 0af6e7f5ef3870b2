"""Several members' detections of one image to one set, by votes.

A cluster holds at most one detection of each member, and every two in it overlap: complete linkage, so that a
row of boxes that each overlap the next is no cluster. What comes of a cluster is its medoid, the detection
that overlaps the others most. It is a member's own polygon, never an average: vertices of two outlines do not
correspond, and their means collapse.

Clusters grow by pairs, the highest IoU first, as in agglomerative clustering (Defays, 1977, "An efficient
algorithm for a complete link method"): two clusters become one when the last pair across them has come. The
clusters of a higher ``iou_thresh`` are therefore those that stood before its pairs ended.

Neither the order of the members nor that of their detections matters: both are put into one of their own
first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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

    ``pairs`` are of two members, the highest IoU first; they serve any threshold from ``lowest_iou`` on.
    """

    polygons: tuple[NDArray[Any], ...]
    scores: FloatArray
    member_of: NDArray[np.intp]
    n_members: int
    lowest_iou: float
    pairs: NDArray[np.intp]
    ious: FloatArray

    @classmethod
    def of(cls, members: Sequence[Detections], *, lowest_iou: float = IOU_THRESH) -> Ballots:
        if not 0 < lowest_iou <= 1:
            raise ValueError(f"expected an IoU above 0 and at most 1, got {lowest_iou}")
        listed = list(_in_own_order(members))
        polygons = tuple(entry.polygon for entry in listed)
        member_of = np.array([entry.member for entry in listed], dtype=np.intp)
        copies = np.array([entry.copy for entry in listed], dtype=np.intp)
        found = find_own_overlaps(polygons, lowest_iou)
        between = np.flatnonzero(np.diff(member_of[found.pairs], axis=1).ravel() != 0)
        pairs, ious = found.pairs[between], found.ious[between]
        # A member that has one polygon twice meets the like of others copy by copy.
        order = np.lexsort((pairs[:, 1], pairs[:, 0], np.diff(copies[pairs], axis=1).ravel() != 0, -ious))
        scores = np.array([entry.score for entry in listed], dtype=np.float64)
        return cls(polygons, scores, member_of, len(members), lowest_iou, pairs[order], ious[order])

    def clusters(self, iou_thresh: float) -> Clusters:
        """At any threshold from ``lowest_iou`` on."""
        thresh = round(iou_thresh, DECIMALS)
        if thresh < round(self.lowest_iou, DECIMALS):
            raise ValueError(f"the pairs below an IoU of {self.lowest_iou} were not kept")
        n_pairs = int(np.searchsorted(-self.ious, -thresh, side="right"))
        found = _complete_linkage(self.member_of, self.pairs[:n_pairs])
        known = {(i, j): iou for (i, j), iou in zip(self.pairs.tolist(), self.ious.tolist(), strict=True)}
        by_medoid = {self._medoid(cluster, known): tuple(cluster) for cluster in found}
        medoids = sorted(by_medoid, key=self._place)
        scores = [math.fsum(self.scores[list(by_medoid[m])]) / self.n_members for m in medoids]
        return Clusters(
            members=tuple(by_medoid[medoid] for medoid in medoids),
            medoids=np.array(medoids, dtype=np.intp),
            scores=np.array(scores, dtype=np.float64),
        )

    def detections(self, elected: Elected) -> Detections:
        return Detections(tuple(self.polygons[index] for index in elected.indices), elected.scores)

    def _medoid(self, cluster: Sequence[int], known: dict[tuple[int, int], float]) -> int:
        """Of equals, as of two, the one with the higher score."""

        def worth(index: int) -> tuple[float, float, int]:
            others = (known[min(index, other), max(index, other)] for other in cluster if other != index)
            return round(math.fsum(others), DECIMALS), float(self.scores[index]), -index

        return max(cluster, key=worth)

    def _place(self, index: int) -> tuple[float, float, int]:
        x, y = np.min(self.polygons[index], axis=0)
        return float(y), float(x), index


@dataclass(frozen=True, slots=True)
class _Ballot:
    """A detection of a member; ``copy`` counts those of the member that have the same polygon."""

    polygon: NDArray[Any]
    score: float
    member: int
    copy: int


def _in_own_order(members: Sequence[Detections]) -> Iterator[_Ballot]:
    """Members by what they detected, and each one's detections by their points, then by score."""
    keyed = []
    for found in members:
        keys = [np.asarray(polygon, dtype=np.float64).tobytes() for polygon in found.polygons]
        keyed.append(sorted(zip(keys, found.scores.tolist(), range(len(found)), strict=True)))
    order = sorted(range(len(members)), key=lambda number: [entry[:2] for entry in keyed[number]])
    for place, number in enumerate(order):
        copies: dict[bytes, int] = {}
        for key, score, index in keyed[number]:
            copy = copies[key] = copies.get(key, -1) + 1
            yield _Ballot(members[number].polygons[index], score, place, copy)


def _complete_linkage(member_of: NDArray[np.intp], pairs: NDArray[np.intp]) -> list[list[int]]:
    """Clusters, when pairs come one by one: two become one when all pairs across them have come, unless both
    have a detection of one member, between which there is no pair."""
    cluster_of = list(range(len(member_of)))
    inside: list[list[int]] = [[index] for index in cluster_of]
    across: list[dict[int, int]] = [{} for _ in cluster_of]  # by cluster: pairs that came, by other cluster
    for i, j in pairs.tolist():
        a, b = cluster_of[i], cluster_of[j]
        n_pairs = across[a][b] = across[b][a] = across[a].get(b, 0) + 1
        if n_pairs < len(inside[a]) * len(inside[b]):
            continue
        kept, gone = (a, b) if len(across[a]) >= len(across[b]) else (b, a)
        for index in inside[gone]:
            cluster_of[index] = kept
        inside[kept] += inside[gone]
        inside[gone] = []
        for other, n in across[gone].items():
            del across[other][gone]
            if other != kept:
                across[kept][other] = across[other][kept] = across[kept].get(other, 0) + n
        across[gone] = {}
    return [sorted(cluster) for cluster in inside if cluster]
