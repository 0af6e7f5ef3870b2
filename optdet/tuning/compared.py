"""The two sides of a comparison: what each found in the same labelled images, and how it was made.

A side is a prediction file (``.csv`` or ``.json``) or a SOURCE. Nothing here imports torch, onnxruntime or
Optuna but where a source needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optdet.config import Config
from optdet.config_io import dotted
from optdet.data.labels import read_labels
from optdet.data.prediction_matching import match_predictions
from optdet.data.predictions import read_predictions
from optdet.data.source import load_source
from optdet.errors import OptdetError
from optdet.evaluation.truth import Polygon
from optdet.structures import OnImage, Sample, Thresholds, Word
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
    """Polygons by image name; a prediction file has no thresholds and no config."""

    title: str
    polygons: Mapping[str, Sequence[Polygon]]
    thresholds: Thresholds | None = None
    config: Config | None = None

    def as_json(self) -> dict[str, Any]:
        thresholds = None if self.thresholds is None else self.thresholds.as_dict()
        return {"source": self.title, "thresholds": thresholds}


@dataclass(frozen=True, slots=True)
class Sides:
    """Both, the words that they are scored on, the image files where they are known, and remarks."""

    a: Side
    b: Side
    words: Mapping[str, Sequence[Word]]
    paths: Mapping[str, Path]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "a": self.a.as_json(),
            "b": self.b.as_json(),
            "settings": self.settings(),
            "thresholds": self.thresholds(),
        }

    def settings(self) -> dict[str, list[Any]] | None:
        """Dotted settings of the two configs that differ, each as [A's, B's]; None where a side has none."""
        if self.a.config is None or self.b.config is None:
            return None
        return _differing(
            *(dotted(side.config.model_dump(mode="json")) for side in (self.a, self.b) if side.config)
        )

    def thresholds(self) -> dict[str, list[Any]] | None:
        """Thresholds that differ, each as [A's, B's]; None where a side has none."""
        if self.a.thresholds is None or self.b.thresholds is None:
            return None
        return _differing(self.a.thresholds.as_dict(), self.b.thresholds.as_dict())


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {
        name: [a.get(name), b.get(name)]
        for name in sorted({*a, *b})
        if a.get(name) != b.get(name) or (name in a) != (name in b)
    }


@dataclass(frozen=True, slots=True)
class _Labelled:
    words: Mapping[str, Sequence[Word]]
    paths: Mapping[str, Path]
    by_stem: bool


def open_sides(
    a: Asked,
    b: Asked,
    *,
    images: Path | None = None,
    labels: Path | None = None,
    options: SourceOptions | None = None,
    workers: int = 1,
    on_image: OnImage | None = None,
) -> Sides:
    """Open both and find their words. Without ``labels`` the images are the validation images of the studies.
    ``workers`` are threads over the images of a source.

    OptdetError for different images on the two sides, for none in common, and where images or labels are
    needed and cannot be known.
    """
    for asked in (a, b):
        _refuse_thresholds(asked)
    names = dict.fromkeys(asked.what for asked in (a, b) if not asked.is_file)
    by_name = {name: open_detections(name, options or SourceOptions()) for name in names}
    opened = [by_name.get(asked.what) for asked in (a, b)]
    for asked, source in zip((a, b), opened, strict=True):
        if source is not None:
            in_use(source, asked.thresholds)  # a wrong name is said before any map is made
    labelled = _labelled((a, b), opened, images, labels)
    found = _detected((a, b), opened, labelled.paths, workers, on_image)
    notes: list[str] = []
    sides = [
        side if side is not None else _predicted(asked, labelled, letter, notes)
        for side, asked, letter in zip(found, (a, b), "AB", strict=True)
    ]
    files_only = a.is_file and b.is_file
    if files_only and not set(sides[0].polygons) & set(sides[1].polygons):
        raise OptdetError(
            f"no labelled image is in both {a.what} and {b.what}",
            where="compare",
            fix="give two prediction files of the same images",
        )
    return Sides(sides[0], sides[1], labelled.words, labelled.paths, tuple(notes))


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
) -> _Labelled:
    """The images and words that were named, else those of the sources."""
    if labels is not None:
        return _named(asked, images, labels)
    if images is not None:
        raise OptdetError("--images without --labels", where="compare", fix="give the images' label file too")
    sources = {id(source): source for source in opened if source is not None}
    known = [source.labelled() for source in sources.values() if source.labelled is not None]
    if not known:
        alone = next((each for each in asked if each.is_file), asked[0])
        need = "--images DIR and --labels FILE" if sources else "--labels FILE"
        raise OptdetError("its labels are not known", where=alone.what, fix=f"give {need}")
    if len(known) == 2:
        _require_same(*known)
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


def _require_same(a: Sequence[Sample], b: Sequence[Sample]) -> None:
    """Refuse validation sets of other images, of other contents under the same names, or of other words."""
    n_same = len(same_images(a, b))
    if n_same == len(a) == len(b):
        return
    if n_same:
        what = f"A and B were validated on different images ({len(a)} and {len(b)}, {n_same} the same)"
    else:
        what = f"A and B have no image in common ({len(a)} and {len(b)} validation images)"
    raise OptdetError(what, where="compare", fix="give both the same: --images DIR --labels FILE")


def _predicted(asked: Asked, labelled: _Labelled, letter: str, notes: list[str]) -> Side:
    file = Path(asked.what)
    matched = match_predictions(
        labelled.words, read_predictions(file), by_stem=labelled.by_stem, file=asked.what
    )
    if matched.missing:
        notes.append(f"{letter}: {len(matched.missing)} images without a prediction, scored as empty")
    if matched.extra:
        notes.append(f"{letter}: {len(matched.extra)} images predicted but not labelled, left out")
    return Side(file.name, matched.polygons)


def _detected(
    asked: Sequence[Asked],
    opened: Sequence[DetectionSource | None],
    paths: Mapping[str, Path],
    workers: int,
    on_image: OnImage | None,
) -> list[Side | None]:
    """The sides that are sources. One source that is both sides has its maps read once."""
    sides: list[Side | None] = [None, None]
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
            sides[number] = Side(source.title, polygons, thresholds, source.config)
    return sides
