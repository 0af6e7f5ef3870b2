"""What the registry of submissions keeps of an ensemble's predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optdet.structures import Sample
from optdet.tuning.detection_source import DetectionSource, OpenSource, origins_of
from optdet.tuning.ensemble_members import Member
from optdet.tuning.ensemble_report import EnsembleReport
from optdet.tuning.ensemble_source import OpenVotes
from optdet.tuning.local_scores import local_scores
from optdet.tuning.submissions import About


def about_ensemble(
    source: DetectionSource,
    members: Sequence[Member],
    report: EnsembleReport | None,
    samples: Sequence[Sample],
    *,
    command: str = "ensemble",
) -> About:
    """``report`` is of the labelled ``samples``; None where there were none."""
    local = None
    if report is not None:
        words = {sample.name: sample.words for sample in samples}
        local = local_scores(report.ensemble.evaluation, words, report.ensemble.hmean_crossfit)
    return About(
        command=command,
        # Once each: views of a detector are of the same source.
        sources=list(dict.fromkeys(o for each in members for o in origins_of(each.opened, each.source))),
        settings=_settings(source, members, report),
        local=local,
    )


def _settings(
    source: DetectionSource, members: Sequence[Member], report: EnsembleReport | None
) -> dict[str, Any]:
    thresholds = None if source.thresholds is None else source.thresholds.as_dict()
    settings: dict[str, Any] = {"thresholds": thresholds, "members": [member.name for member in members]}
    if isinstance(source, OpenVotes):
        return settings | {
            "method": "votes",
            "min_votes": source.min_votes,
            "iou_thresh": source.iou_thresh,
        }
    assert isinstance(source, OpenSource)
    weights = None if report is None else [member.weight for member in report.members]
    return settings | {"method": "maps", "weights": weights}
