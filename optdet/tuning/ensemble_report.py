"""What came of an ensemble: its scores beside those of its members, and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optdet.ensemble_config import EnsembleMethod
from optdet.evaluation.difference import Difference
from optdet.structures import Thresholds
from optdet.tuning.ensemble_maps import TunedMean
from optdet.tuning.ensemble_members import Member
from optdet.tuning.ensemble_scores import How, Scored
from optdet.tuning.ensemble_votes import TunedVote


@dataclass(frozen=True, slots=True, eq=False)
class MemberReport:
    """A member alone, at its own thresholds. ``n_trained_on`` counts the images that it was trained on, None
    where its training images are not known. ``weight`` is its weight in the mean."""

    member: Member
    scored: Scored
    thresholds: Thresholds | None
    weight: float | None
    n_trained_on: int | None

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.member.name,
            "source": self.member.source,
            "view": None if self.member.view is None else str(self.member.view),
            "weight": self.weight,
            "trained_on": self.n_trained_on,
            **_entry_json(self.scored, self.thresholds),
        }


@dataclass(frozen=True, slots=True, eq=False)
class EnsembleReport:
    """The members, in their order, and what they are together.

    ``difference`` is of the ensemble less its best member: of the cross-fitted H-means of the images, by
    name. ``how`` says why weights or votes are what they are. Of maps ``vote`` is None, of votes ``mean``.
    """

    method: EnsembleMethod
    names: tuple[str, ...]
    members: tuple[MemberReport, ...]
    ensemble: Scored
    mean: TunedMean | None
    vote: TunedVote | None
    best: MemberReport
    difference: Difference
    notes: tuple[str, ...]

    @property
    def how(self) -> How:
        settled = self.mean or self.vote
        assert settled is not None
        return settled.how

    @property
    def thresholds(self) -> Thresholds | None:
        """Those of the mean map."""
        return None if self.mean is None else self.mean.thresholds

    @property
    def crossfitted(self) -> bool:
        return self.ensemble.crossfit is not None

    @property
    def beats_best(self) -> bool:
        """Whether the ensemble is better than its best member beyond what the choice of images explains."""
        return self.difference.interval[0] > 0

    @property
    def verdict(self) -> str:
        """In words."""
        low, high = self.difference.interval
        by = f"{self.difference.difference:+.4f}, 95 % interval {low:+.4f} {high:+.4f}"
        name = self.best.member.name
        if self.beats_best:
            return f"the ensemble beats its best member, {name}: {by}"
        if high < 0:
            return f"the ensemble is worse than its best member, {name}: {by}"
        return f"the ensemble does not beat its best member, {name}, beyond chance: {by}"

    def as_json(self) -> dict[str, Any]:
        """The contract of ``optdet ensemble --json``."""
        vote = self.vote
        return {
            "method": self.method,
            "images": len(self.names),
            "members": [member.as_json() for member in self.members],
            "ensemble": {
                "how": self.how,
                "weights": None if self.mean is None else [member.weight for member in self.members],
                "min_votes": None if vote is None else vote.settings.min_votes,
                "iou_thresh": None if vote is None else vote.settings.iou_thresh,
                **_entry_json(self.ensemble, self.thresholds),
            },
            "votes": None if vote is None else vote.grid_json(),
            "best_member": self.best.member.name,
            "difference": {**self.difference.as_json(), "difference": self.difference.difference},
            "crossfitted": self.crossfitted,
            "beats_best": self.beats_best,
            "verdict": self.verdict,
            "notes": list(self.notes),
        }

    def image_rows(self) -> list[dict[str, Any]]:
        """One row an image: the H-means of the ensemble and of each member, and the cross-fitted ones."""
        entries = {"ensemble": self.ensemble, **{each.member.name: each.scored for each in self.members}}
        own = {name: scored.evaluation.hmeans for name, scored in entries.items()}
        fair = {name: scored.fair_hmeans for name, scored in entries.items()}
        return [
            {
                "image": image,
                "hmean": {name: float(values[row]) for name, values in own.items()},
                "hmean_crossfit": {name: float(values[row]) for name, values in fair.items()},
            }
            for row, image in enumerate(self.names)
        ]


def _entry_json(scored: Scored, thresholds: Thresholds | None) -> dict[str, Any]:
    return {
        "thresholds": None if thresholds is None else thresholds.as_dict(),
        **scored.evaluation.scores.as_json(),
        "interval": list(scored.evaluation.interval()),
        "hmean_crossfit": scored.hmean_crossfit,
        "boxes": scored.n_boxes,
    }
