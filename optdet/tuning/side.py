"""What one detector, or each of two, found in the same labelled images, and how it was made.

A side is a prediction file (``.csv`` or ``.json``) or a SOURCE. Nothing here imports torch, onnxruntime or
Optuna but where a source needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optdet.config import Config
from optdet.data.files import require_path
from optdet.data.labels import read_labels
from optdet.data.prediction_matching import match_predictions
from optdet.data.predictions import read_predictions
from optdet.data.source import load_source
from optdet.errors import OptdetError
from optdet.evaluation.truth import Polygon
from optdet.structures import OnImage, Sample, SubmissionSource, Thresholds, Word
from optdet.tuning.detection_source import DetectionSource, in_use
from optdet.tuning.labelled import same_images
from optdet.tuning.prediction_file import is_prediction_file
from optdet.tuning.source import SourceOptions, open_detections


@dataclass(frozen=True, slots=True)
class Asked:
    """A side as it was asked for: a file or a source, and ``name=value`` texts of thresholds to replace."""

    what: str
    thresholds: Sequence[str] = ()

    @property
    def is_file(self) -> bool:
        return is_prediction_file(self.what)


@dataclass(frozen=True, slots=True)
class Side:
    """Polygons by image name; a prediction file has no thresholds, no config and no origins."""

    title: str
    polygons: Mapping[str, Sequence[Polygon]]
    thresholds: Thresholds | None = None
    config: Config | None = None
    origins: tuple[SubmissionSource, ...] = ()

    def as_json(self) -> dict[str, Any]:
        thresholds = None if self.thresholds is None else self.thresholds.as_dict()
        return {"source": self.title, "thresholds": thresholds}


@dataclass(frozen=True, slots=True)
class OpenSides:
    """The sides, the words that they are scored on, the image files where they are known, and remarks."""

    sides: tuple[Side, ...]
    words: Mapping[str, Sequence[Word]]
    paths: Mapping[str, Path]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Labelled:
    words: Mapping[str, Sequence[Word]]
    paths: Mapping[str, Path]
    by_stem: bool


def open_each(
    asked: Sequence[Asked],
    *,
    command: str,
    images: Path | None = None,
    labels: Path | None = None,
    options: SourceOptions | None = None,
    workers: int = 1,
    on_image: OnImage | None = None,
) -> OpenSides:
    """Open one side or two, and find their words. Without ``labels`` the images are the validation images of
    the studies. ``workers`` are threads over the images of a source; errors name the ``command``.

    OptdetError for different images on two sides, and where images or labels are needed and cannot be known.
    """
    for each in asked:
        _refuse_thresholds(each)
        if each.is_file:
            require_path(
                Path(each.what), what="prediction file"
            )  # before its labels, which are named after it
    names = dict.fromkeys(each.what for each in asked if not each.is_file)
    by_name = {name: open_detections(name, options or SourceOptions()) for name in names}
    opened = [by_name.get(each.what) for each in asked]
    for each, source in zip(asked, opened, strict=True):
        if source is not None:
            in_use(source, each.thresholds)  # a wrong name is said before any map is made
    labelled = _labelled(asked, opened, images, labels, command)
    found = _detected(asked, opened, labelled.paths, workers, on_image)
    notes: list[str] = []
    letters = ["A: ", "B: "] if len(asked) > 1 else [""]
    sides = [
        side if side is not None else _predicted(each, labelled, letter, notes)
        for side, each, letter in zip(found, asked, letters, strict=True)
    ]
    return OpenSides(tuple(sides), labelled.words, labelled.paths, tuple(notes))


def _refuse_thresholds(asked: Asked) -> None:
    if asked.is_file and asked.thresholds:
        raise OptdetError(
            f"a prediction file has no thresholds to replace ({asked.thresholds[0]})",
            where=asked.what,
            fix="give the study or checkpoint that it came from",
        )


def _labelled(
    asked: Sequence[Asked],
    opened: Sequence[DetectionSource | None],
    images: Path | None,
    labels: Path | None,
    command: str,
) -> _Labelled:
    """The images and words that were named, else those of the sources."""
    if labels is not None:
        return _named(asked, images, labels)
    if images is not None:
        raise OptdetError("--images without --labels", where=command, fix="give the images' label file too")
    sources = {id(source): source for source in opened if source is not None}
    known = [source.labelled() for source in sources.values() if source.labelled is not None]
    if not known:
        alone = next((each for each in asked if each.is_file), asked[0])
        need = "--images DIR and --labels FILE" if sources else "--labels FILE"
        raise OptdetError("its labels are not known", where=alone.what, fix=f"give {need}")
    if len(known) == 2:
        _require_same(known, command)
    return _of_samples(known[0], by_stem=False)


def _named(asked: Sequence[Asked], images: Path | None, labels: Path) -> _Labelled:
    if images is not None:
        source = load_source(images, labels)
        return _of_samples(source.samples, by_stem=source.label_file.names_are_stems)
    for each in asked:
        if not each.is_file:
            raise OptdetError(
                "the images of these labels are not known", where=each.what, fix="give --images DIR too"
            )
    label_file = read_labels(labels)
    label_file.require_usable()
    return _Labelled(label_file.words, {}, label_file.names_are_stems)


def _of_samples(samples: Sequence[Sample], *, by_stem: bool) -> _Labelled:
    return _Labelled(
        {sample.name: sample.words for sample in samples},
        {sample.name: sample.image_path for sample in samples},
        by_stem,
    )


def _require_same(known: Sequence[Sequence[Sample]], command: str) -> None:
    """Refuse validation sets of other images, of other contents under the same names, or of other words."""
    a, b = known
    n_same = len(same_images(a, b))
    if n_same == len(a) == len(b):
        return
    if n_same:
        what = f"A and B were validated on different images ({len(a)} and {len(b)}, {n_same} the same)"
    else:
        what = f"A and B have no image in common ({len(a)} and {len(b)} validation images)"
    raise OptdetError(what, where=command, fix="give both the same: --images DIR --labels FILE")


def _predicted(asked: Asked, labelled: _Labelled, letter: str, notes: list[str]) -> Side:
    file = Path(asked.what)
    matched = match_predictions(
        labelled.words, read_predictions(file), by_stem=labelled.by_stem, file=asked.what
    )
    if matched.missing:
        notes.append(f"{letter}{len(matched.missing)} images without a prediction, scored as empty")
    if matched.extra:
        notes.append(f"{letter}{len(matched.extra)} images predicted but not labelled, left out")
    return Side(file.name, matched.polygons)


def _detected(
    asked: Sequence[Asked],
    opened: Sequence[DetectionSource | None],
    paths: Mapping[str, Path],
    workers: int,
    on_image: OnImage | None,
) -> list[Side | None]:
    """The sides that are sources. One source that is both sides has its maps read once."""
    sides: list[Side | None] = [None] * len(asked)
    wanted = [(n, source) for n, source in enumerate(opened) if source is not None]
    for source in {id(source): source for _, source in wanted}.values():
        places = [number for number, other in wanted if other is source]
        chosen = [in_use(source, asked[number].thresholds) for number in places]
        found: list[dict[str, Sequence[Polygon]]] = [{} for _ in places]
        of_images = source.detect_each(list(paths.values()), chosen, workers=workers, on_image=on_image)
        for name, of_image in zip(paths, of_images, strict=True):
            for polygons, detections in zip(found, of_image, strict=True):
                polygons[name] = detections.polygons
        for number, thresholds, polygons in zip(places, chosen, found, strict=True):
            sides[number] = Side(source.title, polygons, thresholds, source.config, source.origins)
    return sides
