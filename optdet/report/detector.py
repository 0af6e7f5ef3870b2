"""The study's detector on its labelled images, as the report shows it: thresholds, errors, pictures.

It is that of the best trial; of a study of folds each image is seen by the fold that held it out. Where maps
cannot be made or images are gone, :func:`look` raises OptdetError, and the report says why in their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


def look(source: str, options: SourceOptions, *, n_shown: int, against: str | None = None, bar: Bar) -> Look:
    """Detect in the labelled images of ``source`` and set it beside ``against``, another source; without one,
    beside its own maps at the thresholds that tuning began with.

    Raises OptdetError where maps cannot be made or images are gone.
    """
    opened = open_source(source, options)
    samples = labelled_samples(opened, None, None)
    with bar("reading maps") as on_image:
        scorers = scorers_of(opened, samples, on_image=on_image)
    now = _found(f"{opened.title} at {in_words(opened.thresholds)}", scorers, opened.thresholds)
    before: Found | None
    if against is not None:
        before = _found_by(against, samples, options, bar)
    else:
        before = _began_with(opened.title, scorers, opened.config, opened.thresholds)
    config = opened.config or Config()
    with bar("sweeping thresholds") as on_image:
        sweeps = landscapes(opened.title, scorers, config, opened.thresholds, on_image)
    places = {scorer.name: scorer.detector.letterbox for scorer in scorers}
    errors = error_report(
        {sample.name: sample.words for sample in samples},
        now.polygons,
        frames={name: _frame(place) for name, place in places.items()},
    )
    images = _pictures(samples, scorers, now, before, n_shown, bar)
    return Look(now.title, None if before is None else before.title, errors, images, sweeps, len(samples))


def _found(title: str, scorers: Sequence[ImageScorer], thresholds: Thresholds) -> Found:
    found = mapped(lambda scorer: detect_at(scorer.detector, [thresholds])[0], scorers, workers=map_workers())
    polygons = {scorer.name: detections.polygons for scorer, detections in zip(scorers, found, strict=True)}
    return Found(title, polygons, evaluate({scorer.name: scorer.words for scorer in scorers}, polygons))


def _began_with(
    title: str, scorers: Sequence[ImageScorer], config: Config | None, tuned: Thresholds
) -> Found | None:
    """At the config's thresholds, else at the defaults; None where they are those in use."""
    for thresholds in ((config or Config()).postprocess.thresholds(), PostprocessConfig().thresholds()):
        if thresholds != tuned:
            return _found(f"{title} at {in_words(thresholds)}", scorers, thresholds)
    return None


def _found_by(source: str, samples: Sequence[Sample], options: SourceOptions, bar: Bar) -> Found:
    opened = open_detections(source, options)
    paths = [sample.image_path for sample in samples]
    with bar(f"maps of {opened.title}") as on_image:
        found = list(opened.detect(paths, None, on_image=on_image))
    polygons = {sample.name: each.polygons for sample, each in zip(samples, found, strict=True)}
    at = "" if opened.thresholds is None else f" at {in_words(opened.thresholds)}"
    return Found(
        f"{opened.title}{at}", polygons, evaluate({sample.name: sample.words for sample in samples}, polygons)
    )


def _pictures(
    samples: Sequence[Sample],
    scorers: Sequence[ImageScorer],
    now: Found,
    before: Found | None,
    n_shown: int,
    bar: Bar,
) -> list[dict[str, Any]]:
    chosen = choose_images(now.hmeans, None if before is None else before.hmeans, n_shown)
    by_name = {
        sample.name: (sample, scorer.detector) for sample, scorer in zip(samples, scorers, strict=True)
    }
    pictures = []
    with bar("drawing images") as on_image:
        for done, (name, groups) in enumerate(chosen.items(), start=1):
            sample, detector = by_name[name]
            try:
                pictures.append(gallery_image(sample, groups, detector, now, before))
            finally:
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
