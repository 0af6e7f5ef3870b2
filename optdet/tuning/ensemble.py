"""An ensemble, tuned on labelled images and set beside its members: what ``optdet ensemble`` shows.

Each member is first tuned alone, so that the best of them is at its best too. Every comparison is of
cross-fitted H-means, image by image: nothing that was chosen on an image (thresholds, weights, votes) is
scored on it, but that the usual weights or votes give way to tuned ones where these score higher so. Without
enough images for that the H-means are those of the images that all was chosen on, and the report says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optdet.config import TuneConfig
from optdet.detection.postprocess import MapDetector
from optdet.ensemble_config import EnsembleMethod
from optdet.errors import OptdetError
from optdet.evaluation.difference import difference_of_means
from optdet.inference.map_source import require_content
from optdet.phrases import counted
from optdet.structures import Bar, Detections, Sample
from optdet.tuning.detection_source import OpenSource
from optdet.tuning.ensemble_maps import AveragedMember, TunedMean, tune_mean
from optdet.tuning.ensemble_members import Member
from optdet.tuning.ensemble_report import EnsembleReport, MemberReport
from optdet.tuning.ensemble_scores import Judge, Scored, TunedDetections, no_bar, tuned_maps
from optdet.tuning.ensemble_votes import tune_votes
from optdet.tuning.in_sample import n_trained_on
from optdet.tuning.prediction_file import PredictionFile


def build_ensemble(
    members: Sequence[Member],
    samples: Sequence[Sample],
    *,
    method: EnsembleMethod,
    search: TuneConfig,
    weights: Sequence[float] | None = None,
    min_votes: int | None = None,
    iou_thresh: float | None = None,
    workers: int = 1,
    bar: Bar = no_bar,
) -> EnsembleReport:
    """Tune members and ensemble on the images, and compare them.

    ``search`` is that of thresholds; with method none the members of a vote keep theirs. ``weights`` are by
    source, in the order of the members; these, ``min_votes`` and ``iou_thresh`` are tuned where they are not
    given. OptdetError for what does not fit the members or the method.
    """
    check_settings(members, method, search, weights=weights, min_votes=min_votes)
    judge = Judge(samples)
    opened = [_open(member, judge, search, workers, bar) for member in members]
    scored = [each.tuned.scored(judge) for each in opened]
    # By score, so that the order in which members are named decides nothing.
    ranked = sorted(range(len(members)), key=lambda number: (-_worth(scored[number]), members[number].name))
    best = ranked[0]
    mean = vote = None
    if method == "maps":
        mean, by_member = _mean(members, opened, ranked, judge, search, weights, workers, bar)
        ensemble = mean.scored
    else:
        by_member = [None] * len(members)
        tuned = [each.tuned for each in opened]
        vote = tune_votes(tuned, judge, min_votes=min_votes, iou_thresh=iou_thresh, bar=bar)
        ensemble = vote.scored
    # Views were trained as their source was.
    trained_on = {member.group: _trained_on(member, judge) for member in members if member.view is None}
    reports = tuple(
        MemberReport(member, score, each.tuned.thresholds, weight, trained_on[member.group])
        for member, each, score, weight in zip(members, opened, scored, by_member, strict=True)
    )
    return EnsembleReport(
        method=method,
        names=ensemble.evaluation.names,
        members=reports,
        ensemble=ensemble,
        mean=mean,
        vote=vote,
        best=reports[best],
        difference=difference_of_means(scored[best].fair_hmeans, ensemble.fair_hmeans),
        notes=tuple(_notes(reports, opened, judge)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    """A member's maps, if it has any, and its detections; ``n_missing`` images are not in its file."""

    detectors: Sequence[MapDetector]
    tuned: TunedDetections
    n_missing: int = 0


def check_settings(
    members: Sequence[Member],
    method: EnsembleMethod,
    search: TuneConfig,
    *,
    weights: Sequence[float] | None,
    min_votes: int | None,
) -> None:
    """OptdetError for settings that cannot be, before anything is read."""
    if search.method not in ("exhaustive", "none"):
        raise OptdetError(
            f"an ensemble cannot be cross-fitted by method {search.method}",
            where="--set method",
            fix="use exhaustive",
        )
    if method == "maps" and search.method == "none":
        raise OptdetError(
            "method none leaves a mean map without thresholds", where="--set method", fix="use exhaustive"
        )
    if method == "votes" and weights is not None:
        raise OptdetError("every vote counts the same", where="--weights", fix="use --method maps")
    if method == "maps" and min_votes is not None:
        raise OptdetError("a mean has no votes", where="--min-votes", fix="use --method votes")
    n_sources = 1 + max(member.group for member in members)
    if weights is not None and len(weights) != n_sources:
        raise OptdetError(
            f"{len(weights)} weights for {counted(n_sources, 'source')}",
            where="--weights",
            fix="give one a source, in their order; the views of a source share its weight",
        )
    if min_votes is not None and not 1 <= min_votes <= len(members):
        raise OptdetError(
            f"{min_votes} votes of {len(members)} members",
            where="--min-votes",
            fix=f"give 1 to {len(members)}",
        )


def _open(member: Member, judge: Judge, search: TuneConfig, workers: int, bar: Bar) -> _Opened:
    paths = [sample.image_path for sample in judge.samples]
    opened = member.opened
    if isinstance(opened, OpenSource):
        with bar(f"reading maps of {member.name}") as on_image:
            images = list(opened.maps.maps(paths, on_image=on_image))
        require_content(member.name, images)
        detectors = [image.detector for image in images]
        with bar(f"tuning {member.name}") as on_image:
            tuned = tuned_maps(
                detectors, judge, search, opened.thresholds, workers=workers, on_image=on_image
            )
        return _Opened(detectors, tuned)
    if isinstance(opened, PredictionFile):
        known = opened.found(paths)
        empty = Detections((), np.zeros(0))
        return _Opened(
            (), TunedDetections(None, {None: [found or empty for found in known]}), known.count(None)
        )
    with bar(f"detecting by {member.name}") as on_image:
        found = list(opened.detect(paths, None, on_image=on_image))
    return _Opened((), TunedDetections(None, {None: found}))


def _mean(
    members: Sequence[Member],
    opened: Sequence[_Opened],
    ranked: Sequence[int],
    judge: Judge,
    search: TuneConfig,
    weights: Sequence[float] | None,
    workers: int,
    bar: Bar,
) -> tuple[TunedMean, list[float | None]]:
    """The mean, and its weights by member."""
    groups = list(dict.fromkeys(members[number].group for number in ranked))
    averaged = [
        AveragedMember(
            opened[number].detectors, groups.index(members[number].group), members[number].sets_canvas
        )
        for number in ranked
    ]
    current = opened[ranked[0]].tuned.thresholds
    assert current is not None  # all have maps
    given = None if weights is None else [weights[group] for group in groups]
    mean = tune_mean(averaged, judge, search, current, weights=given, workers=workers, bar=bar)
    return mean, [mean.weights[groups.index(member.group)] for member in members]


def _worth(scored: Scored) -> float:
    return math.fsum(scored.fair_hmeans.tolist())


def _trained_on(member: Member, judge: Judge) -> int | None:
    if not isinstance(member.opened, OpenSource) or member.opened.trained_on is None:
        return None
    try:
        return n_trained_on(member.opened.trained_on(), judge.samples)
    except OptdetError:  # its data are not here: nobody can tell
        return None


def _notes(reports: Sequence[MemberReport], opened: Sequence[_Opened], judge: Judge) -> list[str]:
    notes = []
    files = [each.member.name for each in reports if isinstance(each.member.opened, PredictionFile)]
    if files:
        named = ", ".join(files)
        notes.append(f"scored as they are, too well if their thresholds were tuned on these images: {named}")
    for report, each in zip(reports, opened, strict=True):
        name, n_images = report.member.name, len(judge.samples)
        if each.n_missing:
            notes.append(
                f"{name}: {each.n_missing} of {n_images} images without a prediction, taken as empty"
            )
        if report.n_trained_on and report.member.view is None:
            notes.append(
                f"{name} was trained on {report.n_trained_on} of the {n_images} images: "
                "its scores, and the ensemble's, are not out of sample"
            )
    if not judge.can_crossfit:
        notes.append(f"not cross-fitted: {counted(len(judge.samples), 'image')} cannot be parted")
    return notes
