"""The study's detector on its labelled images, as the report shows it: thresholds, errors, pictures.

It is that of the best trial; of a study of folds each image is seen by the fold that held it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optdet.config import Config, PostprocessConfig
from optdet.errors import OptdetError
from optdet.evaluation.configurations import detect_at
from optdet.evaluation.error_report import ErrorReport, error_report
from optdet.evaluation.evaluate import evaluate
from optdet.evaluation.parallel import map_workers, mapped
from optdet.evaluation.polygon_measures import Frame
from optdet.evaluation.scorer import ImageScorer
from optdet.geometry.letterbox import Letterbox
from optdet.geometry.placement import Placement
from optdet.report.gallery import Found, choose_images, gallery_image
from optdet.report.landscapes import landscapes
from optdet.structures import Bar, Sample, Thresholds
from optdet.tuning.detection_source import DetectionSource, OpenSource
from optdet.tuning.prediction_file import PredictionFile, is_prediction_file
from optdet.tuning.source import SourceOptions, labelled_samples, open_detections, open_source, scorers_of


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen: ``images`` and ``sweeps`` are for the page's script."""

    title: str
    before: str | None
    errors: ErrorReport
    images: list[dict[str, Any]]
    sweeps: list[dict[str, Any]]
    n_images: int


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A detector's maps of its labelled images, ready to be scored at any thresholds."""

    source: OpenSource
    samples: tuple[Sample, ...]
    scorers: list[ImageScorer]

    def at(self, thresholds: Thresholds) -> Found:
        return _found(f"{self.source.title} at {in_words(thresholds)}", self.scorers, thresholds)

    @property
    def began_with(self) -> Thresholds | None:
        """The config's thresholds, else the defaults; None where they are those in use."""
        config = self.source.config or Config()
        others = (config.postprocess.thresholds(), PostprocessConfig().thresholds())
        return next((each for each in others if each != self.source.thresholds), None)


def see(source: str, options: SourceOptions, bar: Bar) -> Seen:
    """OptdetError where maps cannot be made or images are gone."""
    opened = open_source(source, options)
    samples = labelled_samples(opened, None, None)
    with bar("reading maps") as on_image:
        return Seen(opened, samples, scorers_of(opened, samples, on_image=on_image))


def look(seen: Seen, before: Found | None, *, n_shown: int, bar: Bar) -> Look:
    """Score, sweep and draw what was seen, and set it beside ``before``.

    Raises OptdetError where an image cannot be read.
    """
    source = seen.source
    now = seen.at(source.thresholds)
    with bar("sweeping thresholds") as on_image:
        sweeps = landscapes(
            source.title, seen.scorers, source.config or Config(), source.thresholds, on_image
        )
    errors = error_report(
        {sample.name: sample.words for sample in seen.samples},
        now.polygons,
        frames={scorer.name: _frame(scorer.detector.letterbox) for scorer in seen.scorers},
    )
    images = _pictures(seen, now, before, n_shown, bar)
    return Look(
        title=now.title,
        before=None if before is None else before.title,
        errors=errors,
        images=images,
        sweeps=sweeps,
        n_images=len(seen.samples),
    )


def _found(title: str, scorers: Sequence[ImageScorer], thresholds: Thresholds) -> Found:
    found = mapped(lambda scorer: detect_at(scorer.detector, [thresholds])[0], scorers, workers=map_workers())
    polygons = {scorer.name: detections.polygons for scorer, detections in zip(scorers, found, strict=True)}
    return Found(title, polygons, evaluate({scorer.name: scorer.words for scorer in scorers}, polygons))


def open_compared(source: str, options: SourceOptions) -> DetectionSource:
    """What a detector is set beside: a source, or a prediction file; OptdetError for neither."""
    if is_prediction_file(source):
        return PredictionFile.read(Path(source))
    return open_detections(source, options)


def found_by(source: str, samples: Sequence[Sample], options: SourceOptions, bar: Bar) -> Found:
    """What another source finds in the images of ``samples``, at its own thresholds; OptdetError where it
    cannot be opened, or has no maps of them."""
    opened = open_compared(source, options)
    paths = [sample.image_path for sample in samples]
    with bar(f"maps of {opened.title}") as on_image:
        found = list(opened.detect(paths, None, on_image=on_image))
    polygons = {sample.name: each.polygons for sample, each in zip(samples, found, strict=True)}
    at = "" if opened.thresholds is None else f" at {in_words(opened.thresholds)}"
    return Found(
        f"{opened.title}{at}", polygons, evaluate({sample.name: sample.words for sample in samples}, polygons)
    )


def _pictures(seen: Seen, now: Found, before: Found | None, n_shown: int, bar: Bar) -> list[dict[str, Any]]:
    chosen = choose_images(now.hmeans, None if before is None else before.hmeans, n_shown)
    by_name = {
        sample.name: (sample, scorer.detector)
        for sample, scorer in zip(seen.samples, seen.scorers, strict=True)
    }
    pictures = []
    with bar("drawing images") as on_image:
        for done, (name, groups) in enumerate(chosen.items(), start=1):
            sample, detector = by_name[name]
            pictures.append(gallery_image(sample, groups, detector, now, before))
            detector.forget()
            on_image(done, len(chosen))
    return pictures


def in_words(thresholds: Thresholds) -> str:
    kind = "polygons" if thresholds.use_polygon else "quads"
    return (
        f"thresh {thresholds.thresh:.4g}, box_thresh {thresholds.box_thresh:.4g}, "
        f"unclip_ratio {thresholds.unclip_ratio:.4g}, {kind}"
    )


def _frame(place: Placement) -> Frame:
    scale = place.scale if isinstance(place, Letterbox) else None
    return Frame(place.width, place.height, scale)


def why_not(error: OptdetError) -> str:
    """The reason that stands where pictures would."""
    return f"not shown: {error}"
