"""The errors of a set of images: by kind with what each costs, by bucket, and image by image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optdet.evaluation.error_buckets import Property, properties
from optdet.evaluation.error_costs import KindCost, kind_costs, main_kind, repaired
from optdet.evaluation.error_kinds import ERROR_KINDS, ErrorKind, ImageErrors, find_errors
from optdet.evaluation.polygon_measures import Frame, joined, measure
from optdet.evaluation.truth import Polygon
from optdet.metrics.scores import PRH, macro
from optdet.structures import Profile, Word


@dataclass(frozen=True, slots=True)
class ImageReport:
    """One image; ``main`` is the kind whose repair helps it most, None where there is nothing to repair."""

    name: str
    errors: ImageErrors
    main: ErrorKind | None

    @property
    def hmean(self) -> float:
        return self.errors.counts.hmean

    @property
    def n_words(self) -> int:
        """That count."""
        return sum(word.counts for word in self.errors.words)

    def as_json(self) -> dict[str, Any]:
        """Its scores and its characters of each kind; words and detections are not among them."""
        counts = self.errors.counts
        return {
            "image": self.name,
            "hmean": counts.hmean,
            "precision": counts.precision,
            "recall": counts.recall,
            "words": self.n_words,
            "detections": sum(each.counts for each in self.errors.detections),
            "main": self.main,
            "characters": dict(self.errors.lost),
        }


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """``macro`` scores now; ``kinds`` by cost; ``repaired``: the H-mean with all kinds mended, 1 where every
    image has a word; ``images`` by name.
    """

    profile: Profile
    macro: PRH
    repaired: float
    kinds: tuple[KindCost, ...]
    properties: tuple[Property, ...]
    images: tuple[ImageReport, ...]

    @property
    def sum_of_costs(self) -> float:
        """Less or more than what is missing: costs do not add up."""
        return sum(kind.cost for kind in self.kinds)

    @property
    def n_touching(self) -> int:
        """Missed words of which a detection holds characters without matching."""
        return sum(
            word.kind == "miss" and bool(word.touching)
            for image in self.images
            for word in image.errors.words
        )

    @property
    def n_wordless(self) -> int:
        """Images without a word that counts: their H-mean is 0, whatever is detected."""
        return sum(not image.n_words for image in self.images)

    def worst(self, n: int) -> list[ImageReport]:
        """At most ``n`` images that have something to repair, the lowest H-mean first."""
        imperfect = [image for image in self.images if image.main is not None]
        return sorted(imperfect, key=lambda image: (image.hmean, image.name))[:n]

    def as_json(self) -> dict[str, Any]:
        return {
            "profile": self.profile,
            "images": len(self.images),
            "hmean": self.macro.hmean,
            "precision": self.macro.precision,
            "recall": self.macro.recall,
            "repaired": self.repaired,
            "sum_of_costs": self.sum_of_costs,
            "kinds": [kind.as_json() for kind in self.kinds],
            "missed_but_touched": self.n_touching,
            "properties": [each.as_json() for each in self.properties],
            "per_image": [image.as_json() for image in self.images],
        }


def error_report(
    words: Mapping[str, Sequence[Word]],
    polygons: Mapping[str, Sequence[Polygon]],
    *,
    frames: Mapping[str, Frame] | None = None,
    profile: Profile = "competition",
) -> ErrorReport:
    """The errors of ``polygons`` on the images of ``words``; an image without an entry has no detections.

    ``frames`` are the images' sizes, of all images or none: without them no place is known. The order of the
    images moves no digit. Raises ValueError for no images.
    """
    if not words:
        raise ValueError("no images to analyse")
    names = sorted(words)
    errors = [find_errors(words[name], polygons.get(name, ()), profile) for name in names]
    counts = [each.counts for each in errors]
    mended = [repaired(each, ERROR_KINDS) for each in errors]
    return ErrorReport(
        profile=profile,
        macro=macro(counts),
        repaired=macro(mended).hmean,
        kinds=kind_costs(errors),
        properties=_properties(names, errors, words, polygons, frames or {}),
        images=tuple(
            ImageReport(name, each, main_kind(each)) for name, each in zip(names, errors, strict=True)
        ),
    )


def _properties(
    names: Sequence[str],
    errors: Sequence[ImageErrors],
    words: Mapping[str, Sequence[Word]],
    polygons: Mapping[str, Sequence[Polygon]],
    frames: Mapping[str, Frame],
) -> tuple[Property, ...]:
    of_words, of_detections = [], []
    for image, (name, found) in enumerate(zip(names, errors, strict=True)):
        counting = [word.polygon for word, each in zip(words[name], found.words, strict=True) if each.counts]
        detected = [
            polygon
            for polygon, each in zip(polygons.get(name, ()), found.detections, strict=True)
            if each.counts
        ]
        frame = frames.get(name)
        of_words.append(measure(counting, frame, image=image, n_words=len(counting)))
        of_detections.append(measure(detected, frame, image=image, n_words=len(counting)))
    return properties(
        joined(of_words),
        [word for each in errors for word in each.words if word.counts],
        joined(of_detections),
        [detection for each in errors for detection in each.detections if detection.counts],
        len(names),
    )
