"""Images to a prediction file that the registry knows, with what the same source scores where there are
labels."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optdet.data.fingerprints import labels_digest
from optdet.errors import OptdetError
from optdet.evaluation.parallel import map_workers
from optdet.geometry.simplify import simplified
from optdet.inference.folder import WrittenPredictions, predict_folder
from optdet.store.submissions import LocalScores
from optdet.structures import Bar, Detections, OnImage, Sample, Thresholds, Word
from optdet.tuning import attributes as attr
from optdet.tuning.data_state import validated_labels
from optdet.tuning.detection_source import DetectionSource, Judged, OpenSource, origins_of
from optdet.tuning.local_scores import images_number, local_scores, score_locally
from optdet.tuning.postprocess import Entry
from optdet.tuning.postprocess_output import write_submissions
from optdet.tuning.results import thresholds_of
from optdet.tuning.source import SourceOptions, labelled_samples
from optdet.tuning.study import open_database
from optdet.tuning.study_source import find_source
from optdet.tuning.submissions import About, try_to_register

_TRIAL = re.compile(r"[^:/]+:\d+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be written, and on what else to score: ``val_images`` with ``val_labels``, by default the
    validation images of a study's trial; ``score=False`` for no other scores than those that are stored.

    ``labels`` restricts the images, ``max_points`` the points of a polygon.
    """

    images: Path
    out: Path
    labels: Path | None = None
    max_points: int | None = None
    val_images: Path | None = None
    val_labels: Path | None = None
    score: bool = True
    tta: tuple[str, ...] = ()
    """Views that the source has beside the image itself, to be noted with the file."""

    @property
    def has_val(self) -> bool:
        return self.val_images is not None or self.val_labels is not None


@dataclass(frozen=True, slots=True)
class Predicted:
    """The file, what the registry knows of it, and remarks; a registry that cannot be written is one."""

    written: WrittenPredictions
    local: LocalScores | None
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        return self.written.lines() + ([] if self.local is None else [local_line(self.local)])


@dataclass(frozen=True, slots=True)
class KnownTrial:
    """What is stored of the thresholds of a source that is a study's trial; ``labels`` is the digest of those
    that it was scored on, None where that is not known."""

    thresholds: Thresholds | None
    local: LocalScores | None
    labels: str | None

    def crossfit_at(self, thresholds: Thresholds | None) -> float | None:
        """What tuning says of its own choice; None for any other."""
        tuned = self.local is not None and thresholds == self.thresholds
        return self.local.crossfit if self.local is not None and tuned else None


def predict_submission(
    opened: DetectionSource,
    source: str,
    thresholds: Thresholds | None,
    wanted: Wanted,
    options: SourceOptions,
    *,
    bar: Bar,
) -> Predicted:
    """Detect, check, write, register, score: in this order, so that no later step costs an earlier one.

    ``bar`` gives the progress of a stage by its name. OptdetError where the file cannot be made.
    """
    if (wanted.val_images is None) != (wanted.val_labels is None):
        raise OptdetError("--val-images and --val-labels go together", where=source, fix="give both")
    known = known_trial(opened, options)  # before: once the file is written, no database may fail it
    about = About(
        command="predict",
        sources=origins_of(opened, source),
        settings=_settings(thresholds, wanted.max_points, wanted.tta),
        local=_stored(known, thresholds, wanted),
    )
    predicted = submit(opened, thresholds, wanted, about, options, bar=bar)
    if predicted.notes or not wanted.score or (opened.labelled is None and not wanted.has_val):
        return predicted
    try:
        local = _score(opened, known, thresholds, wanted, bar)
    except OptdetError as error:
        return replace(predicted, notes=(f"its local scores are not known: {error}",))
    return _registered(predicted.written, replace(about, local=local), options)


def submit(
    opened: DetectionSource,
    thresholds: Thresholds | None,
    wanted: Wanted,
    about: About,
    options: SourceOptions,
    *,
    bar: Bar,
) -> Predicted:
    """Detect, check, write and register, where it is known what there is to say ``about`` the file."""
    with bar("predicting") as on_image:
        written = predict_folder(
            lambda paths: opened.detect(paths, thresholds, on_image=on_image),
            wanted.images,
            wanted.out,
            labels=wanted.labels,
            max_points=wanted.max_points,
        )
    return _registered(written, about, options)


def _registered(written: WrittenPredictions, about: About, options: SourceOptions) -> Predicted:
    note = try_to_register(options.storage, options.root, written, about)
    return Predicted(written, about.local, () if note is None else (note,))


def submit_entries(
    entries: Sequence[Entry],
    opened: OpenSource,
    source: str,
    images: Path,
    folder: Path,
    *,
    words: Mapping[str, Sequence[Word]],
    on_own_images: bool,
    options: SourceOptions,
    on_image: OnImage | None = None,
) -> Iterator[str]:
    """A file for each configuration, registered with the scores that it was given; a line each.

    ``words`` are those that the entries were scored against; ``on_own_images``: where they are the images
    that a trial was tuned on.
    """
    known = known_trial(opened, options)
    for entry, written in write_submissions(entries, opened, images, folder, on_image):
        # The cross-fitted score of another metric is not one that a leaderboard's could be set beside.
        crossfit = entry.crossfit if entry.metric == "competition" else None
        if crossfit is None and known is not None and on_own_images:
            crossfit = known.crossfit_at(entry.thresholds)
        about = About(
            command="postprocess tune",
            sources=origins_of(opened, source),
            settings=_settings(entry.thresholds, None) | {"candidate": entry.name},
            local=local_scores(entry.evaluation, words, crossfit),
        )
        yield written.lines()[0]
        note = try_to_register(options.storage, options.root, written, about)
        if note is not None:
            yield f"note: {note}"


def known_trial(opened: DetectionSource, options: SourceOptions) -> KnownTrial | None:
    """What is stored of a source; None for one that is no study's trial."""
    if opened.labelled is None or not _TRIAL.fullmatch(opened.title):
        return None
    study, trial = find_source(open_database(options.storage, options.root), opened.title)
    scores = trial.user_attrs.get(attr.SCORES)
    local = None if scores is None else LocalScores(scores, trial.user_attrs.get(attr.CROSSFIT))
    return KnownTrial(thresholds_of(trial), local, validated_labels(study, trial))


def local_line(local: LocalScores) -> str:
    """For a terminal."""
    macro = local.macro
    crossfit = "" if local.crossfit is None else f", cross-fitted {local.crossfit:.4f}"
    images = f" on {len(local.hmeans)} labelled images" if local.hmeans else ""
    parts = f"precision {macro['precision']:.4f}, recall {macro['recall']:.4f}"
    return f"local      H-mean {macro['hmean']:.4f}{crossfit}, {parts}{images}"


def _settings(
    thresholds: Thresholds | None, max_points: int | None, tta: Sequence[str] = ()
) -> dict[str, Any]:
    simplified = {} if max_points is None else {"max_points": max_points}
    views = {"tta": list(tta)} if tta else {}
    return {"thresholds": None if thresholds is None else thresholds.as_dict(), **simplified, **views}


def _stored(known: KnownTrial | None, thresholds: Thresholds | None, wanted: Wanted) -> LocalScores | None:
    """The trial's own scores, where they are those of the file's thresholds."""
    if known is None or thresholds != known.thresholds or wanted.max_points is not None or wanted.has_val:
        return None
    return known.local


def _score(
    opened: DetectionSource,
    known: KnownTrial | None,
    thresholds: Thresholds | None,
    wanted: Wanted,
    bar: Bar,
) -> LocalScores:
    samples = labelled_samples(opened, wanted.val_images, wanted.val_labels)
    is_stored = wanted.max_points is None and not wanted.has_val
    if known is not None and known.labels not in (None, labels_digest(samples)):
        is_stored = False  # what is kept was found on other labels
    crossfit = known.crossfit_at(thresholds) if known is not None and is_stored else None
    with bar(f"scoring on {len(samples)} labelled images") as on_image:
        local = score_locally(samples, _found(opened, samples, thresholds, wanted, on_image), crossfit)
    if opened.judged is not None and thresholds == opened.thresholds and wanted.max_points is None:
        return _as_judged(local, opened.judged, on_own=not wanted.has_val)
    return local


def _as_judged(local: LocalScores, judged: Judged, *, on_own: bool) -> LocalScores:
    """With the cross-fitted score that is known, where it is of these images, and of what detects now: a
    file may have been changed since."""
    is_same = on_own if judged.images is None else images_number(local.hmeans) == judged.images
    still = math.isclose(local.macro["hmean"], judged.hmean, abs_tol=1e-9)
    return replace(local, crossfit=judged.crossfit) if is_same and still else local


def _found(
    opened: DetectionSource,
    samples: Sequence[Sample],
    thresholds: Thresholds | None,
    wanted: Wanted,
    on_image: OnImage,
) -> Iterable[Detections]:
    """What is detected on labelled images, simplified as the file's polygons are."""
    paths = [sample.image_path for sample in samples]
    for (detections,) in opened.detect_each(paths, [thresholds], workers=map_workers(), on_image=on_image):
        if wanted.max_points is None:
            yield detections
        else:
            fewer = tuple(simplified(polygon, wanted.max_points) for polygon in detections.polygons)
            yield Detections(fewer, detections.scores)
