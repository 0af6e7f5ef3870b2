"""What ``optdet ensemble`` leaves: the ensemble as a source, as a file that is one, and its predictions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from optdet.data.files import write_atomically
from optdet.detection.voting import IOU_THRESH, majority
from optdet.ensemble_config import EnsembleConfig, JudgedConfig, MemberConfig, ReadingConfig, ThresholdsInUse
from optdet.errors import OptdetError
from optdet.inference.map_mean import MeanMaps, WeightedMaps
from optdet.inference.onnx_options import OnnxOptions
from optdet.settings_yaml import dump_yaml
from optdet.store.submissions import LocalScores
from optdet.structures import Thresholds
from optdet.tuning.detection_source import DetectionSource, OpenSource
from optdet.tuning.ensemble_members import Member
from optdet.tuning.ensemble_report import EnsembleReport
from optdet.tuning.ensemble_source import OpenVotes, Voter
from optdet.tuning.local_scores import images_number
from optdet.tuning.postprocess_places import require_writable
from optdet.tuning.source import SourceOptions

_TITLE = "ensemble"


def as_source(report: EnsembleReport) -> DetectionSource:
    """The ensemble that was tuned: it detects what the report scores, polygon for polygon."""
    if report.vote is not None:
        voters = tuple(Voter(each.member.opened, each.thresholds) for each in report.members)
        settings = report.vote.settings
        return OpenVotes(_TITLE, voters, settings.min_votes, settings.iou_thresh)
    assert report.thresholds is not None  # it is a mean
    sources = tuple(
        WeightedMaps(each.member.maps.maps, each.weight or 0.0, each.member.sets_canvas)
        for each in report.members
    )
    return OpenSource(_TITLE, MeanMaps(_TITLE, sources), report.thresholds)


def untuned_vote(
    members: Sequence[Member], min_votes: int | None = None, iou_thresh: float | None = None
) -> OpenVotes:
    """A vote of members at their thresholds in use: a majority at an IoU of 0.5 where nothing is given."""
    voters = tuple(Voter(member.opened) for member in members)
    return OpenVotes(_TITLE, voters, min_votes or majority(len(members)), iou_thresh or IOU_THRESH)


def ensemble_config(
    source: DetectionSource,
    members: Sequence[Member],
    path: Path,
    options: SourceOptions,
    local: LocalScores | None = None,
) -> EnsembleConfig:
    """An ensemble of these members, as a file at ``path`` says it; ``local`` is what it scores on the images
    that it was tuned on."""
    if isinstance(source, OpenVotes):
        return EnsembleConfig(
            judged=_judged(local),
            method="votes",
            min_votes=source.min_votes,
            iou_thresh=source.iou_thresh,
            members=tuple(
                _member(member, path, options, thresholds=_in_use(voter.thresholds))
                for member, voter in zip(members, source.voters, strict=True)
            ),
        )
    assert isinstance(source, OpenSource)
    assert isinstance(source.maps, MeanMaps)
    return EnsembleConfig(
        judged=_judged(local),
        method="maps",
        thresholds=_in_use(source.thresholds),
        members=tuple(
            _member(member, path, options, weight=each.weight)
            for member, each in zip(members, source.maps.sources, strict=True)
        ),
    )


def write_ensemble(config: EnsembleConfig, path: Path, head: Sequence[str] = ()) -> None:
    """A YAML file that is a SOURCE; ``head`` becomes comments."""
    path.parent.mkdir(parents=True, exist_ok=True)
    comments = "".join(f"# {line}\n" for line in head)
    write_atomically(path, (comments + dump_yaml(config.as_tree())).encode())


def require_free(path: Path, *, force: bool) -> None:
    """OptdetError where the file of an ensemble may not be written."""
    require_writable(path.parent, "--save")
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise OptdetError("an ensemble is a YAML file", where=str(path), fix="name it .yaml")
    if path.exists() and not (force and path.is_file()):
        raise OptdetError("the file exists", where=str(path), fix="give another name, or --force")


def _judged(local: LocalScores | None) -> JudgedConfig | None:
    if local is None or local.crossfit is None:
        return None
    return JudgedConfig(
        images=images_number(local.hmeans), hmean=local.macro["hmean"], hmean_crossfit=local.crossfit
    )


def _in_use(thresholds: Thresholds | None) -> ThresholdsInUse | None:
    return None if thresholds is None else ThresholdsInUse.model_validate(thresholds.as_dict())


def _member(member: Member, path: Path, options: SourceOptions, **settings: Any) -> MemberConfig:
    source = Path(member.source)
    is_file = source.exists()
    return MemberConfig(
        source=os.path.relpath(source, path.parent) if is_file else member.source,
        view=None if member.view is None else str(member.view),
        reading=_reading(options) if _is_read(source) else ReadingConfig(),
        **settings,
    )


def _is_read(source: Path) -> bool:
    """Whether it says nothing itself of how it is read."""
    return source.is_dir() or source.suffix.lower() == ".onnx"


def _reading(options: SourceOptions) -> ReadingConfig:
    """What differs from the defaults."""
    usual = OnnxOptions()
    names = [field.name for field in fields(OnnxOptions)]
    given = {name: getattr(options.onnx, name) for name in names}
    changed = {name: value for name, value in given.items() if value != getattr(usual, name)}
    if options.placement != "auto":
        changed["placement"] = options.placement
    return ReadingConfig(**changed)
