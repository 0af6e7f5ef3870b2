"""An ensemble as a SOURCE: of maps, which has maps again, or of votes, which has detections alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from optdet.config import Config, PostprocessConfig
from optdet.detection.voting import IOU_THRESH, majority, vote
from optdet.ensemble_config import EnsembleConfig, MemberConfig, ReadingConfig
from optdet.errors import OptdetError
from optdet.inference.map_mean import MeanMaps, WeightedMaps
from optdet.inference.map_source import DetectorMaps
from optdet.inference.onnx_options import OnnxOptions
from optdet.inference.views import View, parse_views
from optdet.settings_yaml import read_mapping
from optdet.structures import Detections, OnImage, Sample, SubmissionSource, Thresholds
from optdet.tuning.detection_source import DetectionSource, Judged, OpenSource
from optdet.tuning.labelled import common_samples
from optdet.tuning.prediction_file import PredictionFile, is_prediction_file
from optdet.tuning.source import SourceOptions, open_detections
from optdet.validation import validate

_MAX_DEPTH = 4
"""Ensembles of ensembles: deeper ones are taken for one that is its own member."""


@dataclass(frozen=True, slots=True)
class Voter:
    """A member of a vote, at these thresholds, or where they are None at those in use."""

    source: DetectionSource
    thresholds: Thresholds | None = None


@dataclass(frozen=True, slots=True)
class OpenVotes:
    """A vote as a source: what at least ``min_votes`` of its members found."""

    title: str
    voters: tuple[Voter, ...]
    min_votes: int
    iou_thresh: float
    labelled: Callable[[], tuple[Sample, ...]] | None = None
    origins: tuple[SubmissionSource, ...] = ()
    judged: Judged | None = None

    @property
    def thresholds(self) -> Thresholds | None:
        return None

    @property
    def config(self) -> Config | None:
        return None

    def detect(
        self, paths: Sequence[Path], thresholds: Thresholds | None = None, *, on_image: OnImage | None = None
    ) -> Iterator[Detections]:
        """Members are asked image by image, side by side."""
        found = [voter.source.detect(paths, voter.thresholds) for voter in self.voters]
        yield from self._votes(found, len(paths), on_image)

    def detect_each(
        self,
        paths: Sequence[Path],
        configurations: Sequence[Thresholds | None],
        *,
        workers: int = 1,
        on_image: OnImage | None = None,
    ) -> Iterator[list[Detections]]:
        """The same for every configuration: there is nothing that one could replace."""
        each = [voter.source.detect_each(paths, [voter.thresholds], workers=workers) for voter in self.voters]
        found = [(detections for (detections,) in of_member) for of_member in each]
        for voted in self._votes(found, len(paths), on_image):
            yield [voted] * len(configurations)

    def _votes(
        self, found: Sequence[Iterator[Detections]], n_images: int, on_image: OnImage | None
    ) -> Iterator[Detections]:
        for number, members in enumerate(zip(*found, strict=True), start=1):
            if on_image is not None:
                on_image(number, n_images)
            yield vote(members, min_votes=self.min_votes, iou_thresh=self.iou_thresh)


def prediction_files(source: DetectionSource) -> Iterator[PredictionFile]:
    """The files of predictions that a source reads: itself, or members of a vote."""
    if isinstance(source, PredictionFile):
        yield source
    elif isinstance(source, OpenVotes):
        for voter in source.voters:
            yield from prediction_files(voter.source)


def open_ensemble(path: Path, options: SourceOptions) -> DetectionSource:
    """The ensemble in a file; OptdetError for a file of anything else, and where a member is missing."""
    tree = read_mapping(path)
    if "members" not in tree:
        raise OptdetError(
            "not the file of an ensemble: it names no members",
            where=str(path),
            fix="give a study, a checkpoint or what `optdet ensemble --save` wrote",
        )
    config = validate(EnsembleConfig, tree, str(path))
    if options.depth >= _MAX_DEPTH:
        raise OptdetError(
            f"more than {_MAX_DEPTH} ensembles inside one another", where=str(path), fix="name the members"
        )
    inside = replace(options, depth=options.depth + 1)
    if config.method == "votes":
        return _open_votes(config, path, inside)
    sources = [_open_maps(member, path, inside) for member in config.members]
    maps = tuple(
        WeightedMaps(source.maps, member.weight, sets_canvas=not is_scaled(view))
        for (source, view), member in zip(sources, config.members, strict=True)
    )
    in_use = config.thresholds.as_thresholds() if config.thresholds else PostprocessConfig().thresholds()
    own = [source for source, _ in sources]
    return OpenSource(
        path.name,
        MeanMaps(path.name, maps),
        in_use,
        labelled=common_samples(own),
        trained_on=_all_trained_on(own),
        origins=_origins(path, own),
        judged=_judged(config),
    )


def _origins(path: Path, members: Sequence[DetectionSource]) -> tuple[SubmissionSource, ...]:
    of_members = dict.fromkeys(origin for member in members for origin in member.origins)
    return (SubmissionSource(str(path)), *of_members)


def _judged(config: EnsembleConfig) -> Judged | None:
    kept = config.judged
    return None if kept is None else Judged(kept.hmean, kept.hmean_crossfit, kept.images)


def _all_trained_on(sources: Sequence[OpenSource]) -> Callable[[], tuple[Path, ...]] | None:
    """What gives the training images of all members that know theirs; None where none does."""
    known = [source.trained_on for source in sources if source.trained_on is not None]
    return (lambda: tuple(path for of in known for path in of())) if known else None


def is_scaled(view: View | None) -> bool:
    return view is not None and view.kind == "scale"


def seen_as(source: DetectionSource, view: View) -> OpenSource:
    """Another view of a source as a source; OptdetError for one that is no detector."""
    if not isinstance(source, OpenSource) or not isinstance(source.maps, DetectorMaps):
        raise OptdetError(
            f"{view} needs a detector, and this source is none",
            where=source.title,
            fix="leave it out, or give the detector itself",
        )
    return replace(source, title=f"{source.title} {view}", maps=source.maps.seen_as(view))


def with_views(source: DetectionSource, views: Sequence[View]) -> DetectionSource:
    """A source whose maps are the mean of its own and those of the views."""
    if not views:
        return source
    seen = [seen_as(source, view) for view in views]
    assert isinstance(source, OpenSource)  # else it could not be seen so
    sources = [WeightedMaps(source.maps)]
    sources += [
        WeightedMaps(each.maps, sets_canvas=not is_scaled(view))
        for each, view in zip(seen, views, strict=True)
    ]
    title = f"{source.title} with {', '.join(map(str, views))}"
    return replace(source, title=title, maps=MeanMaps(title, tuple(sources)))


def _open_votes(config: EnsembleConfig, path: Path, options: SourceOptions) -> OpenVotes:
    voters = []
    for member in config.members:
        source = _open_member(member, path, options)
        thresholds = member.thresholds.as_thresholds() if member.thresholds else None
        if thresholds is not None and source.thresholds is None:
            raise OptdetError(
                f"the member {member.source} has no thresholds to replace", where=str(path), fix="remove them"
            )
        voters.append(Voter(source, thresholds))
    return OpenVotes(
        title=path.name,
        voters=tuple(voters),
        min_votes=config.min_votes or majority(len(voters)),
        iou_thresh=config.iou_thresh or IOU_THRESH,
        labelled=common_samples([voter.source for voter in voters]),
        origins=_origins(path, [voter.source for voter in voters]),
        judged=_judged(config),
    )


def _open_maps(member: MemberConfig, path: Path, options: SourceOptions) -> tuple[OpenSource, View | None]:
    source = _open_member(member, path, options)
    if not isinstance(source, OpenSource):
        raise OptdetError(
            f"the member {member.source} has no probability maps", where=str(path), fix="use method: votes"
        )
    return source, _view_of(member)


def _open_member(member: MemberConfig, path: Path, options: SourceOptions) -> DetectionSource:
    beside = path.parent / member.source
    what = str(beside) if beside.exists() else member.source
    if is_prediction_file(what):
        return PredictionFile.read(Path(what))
    opened = open_detections(what, _reading(member.reading, options))
    view = _view_of(member)
    return opened if view is None else seen_as(opened, view)


def _view_of(member: MemberConfig) -> View | None:
    if member.view is None:
        return None
    views = parse_views([member.view], where=f"members, view of {member.source}")
    if len(views) != 1:
        raise OptdetError(f"{member.view!r} is not one view", where=f"members, view of {member.source}")
    return views[0]


def _reading(reading: ReadingConfig, options: SourceOptions) -> SourceOptions:
    """The options with what a member says of its own in their place."""
    own = reading.model_dump(exclude_none=True)
    placement = own.pop("placement", options.placement)
    onnx: OnnxOptions = replace(options.onnx, **own)
    return replace(options, onnx=onnx, placement=placement)
