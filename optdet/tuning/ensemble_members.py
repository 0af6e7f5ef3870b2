"""What goes into an ensemble: sources, the folds of a study, prediction files, other views of detectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from optdet.ensemble_config import EnsembleMethod
from optdet.errors import OptdetError
from optdet.inference.map_names import has_maps
from optdet.inference.map_source import DetectorMaps
from optdet.inference.views import View
from optdet.tuning.detection_source import DetectionSource, OpenSource
from optdet.tuning.ensemble_source import is_scaled, prediction_files, seen_as
from optdet.tuning.prediction_file import PredictionFile, is_prediction_file
from optdet.tuning.source import SourceOptions, open_detections


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One voice of an ensemble; ``source`` opens what it is, or what it is a ``view`` of.

    Views share the weight of their source, which ``group`` numbers.
    """

    name: str
    source: str
    opened: DetectionSource
    group: int
    view: View | None = None

    @property
    def maps(self) -> OpenSource:
        """OptdetError where it has detections alone."""
        if isinstance(self.opened, OpenSource):
            return self.opened
        what = "a prediction file" if isinstance(self.opened, PredictionFile) else "an ensemble by votes"
        raise OptdetError(
            f"{what} has no probability maps to average", where=self.source, fix="use --method votes"
        )

    @property
    def sets_canvas(self) -> bool:
        return not is_scaled(self.view)


@dataclass(frozen=True, slots=True)
class Members:
    """The members in the order that they were named in, views after their source; and what to say of them."""

    members: tuple[Member, ...]
    notes: tuple[str, ...]


def open_members(
    sources: Sequence[str],
    *,
    method: EnsembleMethod,
    views: Sequence[View] = (),
    options: SourceOptions | None = None,
) -> Members:
    """Open everything that was named. OptdetError for a member that is given twice, for fewer than two, and
    for one without maps where maps are averaged."""
    options = options or SourceOptions()
    named, notes = _expanded(sources, options)
    opened = [(_as_it_is(source, found), found) for source in named for found in [_open(source, options)]]
    _require_distinct(opened)
    members: list[Member] = []
    for group, (source, found) in enumerate(opened):
        members.append(Member(source, source, found, group))
        if not views:
            continue
        if isinstance(found, OpenSource) and isinstance(found.maps, DetectorMaps):
            members += [_view(members[-1], view) for view in views]
        else:
            notes.append(f"{source} is no detector: it has no other views")
    if len(members) < 2:
        raise OptdetError(
            "an ensemble needs two members", where="ensemble", fix="name another source, or add --tta hflip"
        )
    if method == "maps":
        for member in members:
            _ = member.maps
    return Members(tuple(members), tuple(notes))


def require_images(members: Sequence[Member], paths: Sequence[Path]) -> None:
    """OptdetError where a prediction file among the members lacks some of the images."""
    for member in members:
        for file in prediction_files(member.opened):
            file.require(paths)


def without_any(members: Sequence[Member], paths: Sequence[Path]) -> PredictionFile | None:
    """The first prediction file among the members that has none of the images; None where each has some."""
    files = (file for member in members for file in prediction_files(member.opened))
    return next((file for file in files if not file.names_any(paths)), None)


def _view(of: Member, view: View) -> Member:
    return Member(f"{of.name} {view}", of.source, seen_as(of.opened, view), of.group, view)


def _open(source: str, options: SourceOptions) -> DetectionSource:
    if is_prediction_file(source):
        return PredictionFile.read(Path(source))
    return open_detections(source, options)


def _as_it_is(source: str, opened: DetectionSource) -> str:
    """STUDY:TRIAL of a study, also where its best trial was meant; a path as it was given."""
    if isinstance(opened, OpenSource) and isinstance(opened.maps, DetectorMaps) and opened.trained_on:
        return opened.title
    return source


def _expanded(sources: Sequence[str], options: SourceOptions) -> tuple[list[str], list[str]]:
    """Studies of folds by their trials, one a fold, and what to say of folds that are missing."""
    named: list[str] = []
    notes: list[str] = []
    for source in sources:
        if _names_a_file(source) or ":" in source:
            named.append(source)
            continue
        # Not above: files need no database.
        from optdet.tuning.study_source import trials_of_folds

        folds = trials_of_folds(source, options)
        named += [source] if folds is None else folds.trials
        notes += [] if folds is None else folds.notes
    return named, notes


def _names_a_file(source: str) -> bool:
    """As `open_detections` sees it: a folder without maps may be called as a study is."""
    path = Path(source)
    return path.is_file() or "/" in source or (path.is_dir() and has_maps(path))


def _require_distinct(opened: Sequence[tuple[str, DetectionSource]]) -> None:
    known: dict[str, str] = {}
    for source, found in opened:
        identity = _identity(source, found)
        if identity in known:
            raise OptdetError(
                f"{known[identity]} and {source} are the same member",
                where="ensemble",
                fix="name each once; --weights makes one count more",
            )
        known[identity] = source


def _identity(source: str, found: DetectionSource) -> str:
    if isinstance(found, OpenSource) and isinstance(found.maps, DetectorMaps):
        return found.maps.identity
    return str(Path(source).resolve())
