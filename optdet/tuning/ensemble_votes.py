"""Which vote to take: how many members must agree, and what counts as agreeing.

``min_votes`` and ``iou_thresh`` are searched on a small grid, exhaustively. The usual vote, a majority at an
IoU of 0.5, is kept unless what the grid chooses scores higher cross-fitted: on images that it was not chosen
on, and with members whose thresholds were not chosen on them either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from optdet.detection.voting import IOU_THRESH, Ballots, majority, vote
from optdet.structures import Bar, Detections, FloatArray, OnImage, Thresholds
from optdet.tuning.ensemble_scores import How, Judge, Scored, TunedDetections, mean, no_bar

IOU_THRESHS: Final = (0.3, 0.4, 0.5, 0.6, 0.7)
_GIVEN: How = "given"
_USUAL: How = "usual"
_TUNED: How = "tuned"


@dataclass(frozen=True, slots=True)
class VoteSettings:
    """A vote."""

    min_votes: int
    iou_thresh: float


@dataclass(frozen=True, slots=True, eq=False)
class TunedVote:
    """The vote that was taken, and ``grid``, the macro H-mean of each that was tried."""

    settings: VoteSettings
    how: How
    scored: Scored
    grid: dict[VoteSettings, float]

    def grid_json(self) -> list[dict[str, Any]]:
        return [
            {"min_votes": each.min_votes, "iou_thresh": each.iou_thresh, "hmean": hmean}
            for each, hmean in self.grid.items()
        ]


def tune_votes(
    members: Sequence[TunedDetections],
    judge: Judge,
    *,
    min_votes: int | None = None,
    iou_thresh: float | None = None,
    bar: Bar = no_bar,
) -> TunedVote:
    """The better of the usual vote and the best of the grid; a setting that is given stays as it is."""
    usual = VoteSettings(min_votes or majority(len(members)), iou_thresh or IOU_THRESH)
    tried = _grid(len(members), min_votes, iou_thresh, usual)
    with bar("counting votes") as on_image:
        tables = _tables(members, judge, tried, on_image)
    settings, how = usual, _GIVEN if len(tried) == 1 else _USUAL
    crossfit = _crossfit(tables, judge, tried, [usual] * len(judge.samples)) if judge.can_crossfit else None
    if crossfit is not None and len(tried) > 1:
        without = {part: _best(tables[part][judge.part_of != part], tried) for part in judge.parts}
        chosen = [without[part] for part in judge.part_of.tolist()]
        tuned = _crossfit(tables, judge, tried, chosen)
        if mean(tuned) > mean(crossfit):
            settings, how, crossfit = _best(tables[None], tried), _TUNED, tuned
    found = [
        vote(of_image, min_votes=settings.min_votes, iou_thresh=settings.iou_thresh)
        for of_image in zip(*(member.without(None) for member in members), strict=True)
    ]
    grid = {each: mean(tables[None][:, place]) for place, each in enumerate(tried)}
    return TunedVote(settings, how, judge.score(found, crossfit), grid)


def _grid(
    n_members: int, min_votes: int | None, iou_thresh: float | None, usual: VoteSettings
) -> list[VoteSettings]:
    """What is tried, the nearest to the usual vote first: of equals the first is chosen."""
    votes = range(1, n_members + 1) if min_votes is None else [min_votes]
    ious = IOU_THRESHS if iou_thresh is None else [iou_thresh]
    grid = [VoteSettings(votes_wanted, iou) for votes_wanted in votes for iou in ious]

    def distance(each: VoteSettings) -> tuple[int, float]:
        return abs(each.min_votes - usual.min_votes), round(abs(each.iou_thresh - usual.iou_thresh), 9)

    return sorted(grid, key=distance)


def _tables(
    members: Sequence[TunedDetections], judge: Judge, tried: Sequence[VoteSettings], on_image: OnImage
) -> dict[int | None, FloatArray]:
    """H-means (images, settings) where nothing of the members was chosen on a part; None: on all images.

    Where the members' thresholds are the same, so is the table.
    """
    parts: list[int | None] = [None, *(judge.parts if judge.can_crossfit else [])]
    at = {part: tuple(member.thresholds_without(part) for member in members) for part in parts}
    distinct: dict[tuple[Thresholds | None, ...], int | None] = {}
    for part in parts:
        distinct.setdefault(at[part], part)
    n_images, done = len(judge.samples), 0
    tables = {}
    for key, part in distinct.items():
        found = [member.without(part) for member in members]
        table = np.empty((n_images, len(tried)))
        for image in range(n_images):
            table[image] = _hmeans([of_member[image] for of_member in found], judge, image, tried)
            done += 1
            on_image(done, n_images * len(distinct))
        tables[key] = table
    return {part: tables[at[part]] for part in parts}


def _hmeans(
    found: Sequence[Detections], judge: Judge, image: int, tried: Sequence[VoteSettings]
) -> list[float]:
    """Of one image at each vote; its detections are related to the words once."""
    ballots = Ballots.of(found, lowest_iou=min(each.iou_thresh for each in tried))
    count = judge.truths[image].relate("competition", ballots.polygons)
    clusters = {iou: ballots.clusters(iou) for iou in {each.iou_thresh for each in tried}}
    return [count(clusters[each.iou_thresh].elect(each.min_votes).indices).hmean for each in tried]


def _best(hmeans: FloatArray, tried: Sequence[VoteSettings]) -> VoteSettings:
    """The first of the highest."""
    means = [round(mean(column), 12) for column in hmeans.T]
    return tried[int(np.argmax(means))]


def _crossfit(
    tables: dict[int | None, FloatArray],
    judge: Judge,
    tried: Sequence[VoteSettings],
    chosen: Sequence[VoteSettings],
) -> FloatArray:
    """The H-mean of each image at its own choice, with members tuned without its part."""
    parts = judge.part_of.tolist()
    return np.array(
        [
            tables[part][image, tried.index(each)]
            for image, (part, each) in enumerate(zip(parts, chosen, strict=True))
        ]
    )
