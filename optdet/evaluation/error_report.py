"""The errors of a set of images: by kind with what each costs, by bucket, and image by image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optdet.evaluation.error_buckets import Property, properties
from optdet.evaluation.error_costs import KindCost, Mismatches, kind_costs, main_kind, mismatches, repaired
from optdet.evaluation.error_kinds import ERROR_KINDS, ErrorKind, ImageErrors, find_errors
from optdet.evaluation.polygon_measures import Frame, Measures, joined, measure
from optdet.evaluation.truth import Polygon
from optdet.metrics.scores import PRH, macro
from optdet.structures import OnImage, Profile, Word


@dataclass(frozen=True, slots=True)
class ImageReport:
    """One image; ``main`` is the kind whose repair helps it most, None where there is nothing to repair.

    ``words`` and ``detections`` measure those that count, in their order.
    """

    name: str
    errors: ImageErrors
    main: ErrorKind | None
    words: Measures
    detections: Measures

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
    mismatches: Mismatches
    properties: tuple[Property, ...]
    images: tuple[ImageReport, ...]

    @property
    def sum_of_costs(self) -> float:
        """Less or more than what is missing: costs do not add up."""
        return sum(kind.cost for kind in self.kinds)

    @property
    def character_recall(self) -> float:
        """Of the characters of all words, as the buckets have it: splits cost nothing; 0 without words."""
        n_characters = sum(image.errors.counts.num_char_gt for image in self.images)
        n_found = sum(image.errors.counts.num_char_tp for image in self.images)
        return n_found / n_characters if n_characters else 0.0

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
            "mismatches": self.mismatches.as_json(),
            "character_recall": self.character_recall,
            "properties": [each.as_json() for each in self.properties],
            "per_image": [image.as_json() for image in self.images],
        }


def error_report(
    words: Mapping[str, Sequence[Word]],
    polygons: Mapping[str, Sequence[Polygon]],
    *,
    frames: Mapping[str, Frame] | None = None,
    profile: Profile = "competition",
    on_image: OnImage | None = None,
) -> ErrorReport:
    """The errors of ``polygons`` on the images of ``words``; an image without an entry has no detections.

    ``frames`` are the images' sizes, of all images or none: without them no place is known. The order of the
    images moves no digit. Raises ValueError for no images.
    """
    if not words:
        raise ValueError("no images to analyse")
    images = []
    for number, name in enumerate(sorted(words)):
        frame = (frames or {}).get(name)
        images.append(_image(number, name, words[name], polygons.get(name, ()), frame, profile))
        if on_image is not None:
            on_image(len(images), len(words))
    errors = [image.errors for image in images]
    return ErrorReport(
        profile=profile,
        macro=macro([each.counts for each in errors]),
        repaired=macro([repaired(each, ERROR_KINDS) for each in errors]).hmean,
        kinds=kind_costs(errors),
        mismatches=mismatches(errors),
        properties=properties(
            joined([image.words for image in images]),
            [word for each in errors for word in each.words if word.counts],
            joined([image.detections for image in images]),
            [detection for each in errors for detection in each.detections if detection.counts],
            len(images),
        ),
        images=tuple(images),
    )


def _image(
    number: int,
    name: str,
    words: Sequence[Word],
    polygons: Sequence[Polygon],
    frame: Frame | None,
    profile: Profile,
) -> ImageReport:
    errors = find_errors(words, polygons, profile)
    counting = [word.polygon for word, each in zip(words, errors.words, strict=True) if each.counts]
    detected = [polygon for polygon, each in zip(polygons, errors.detections, strict=True) if each.counts]
    return ImageReport(
        name=name,
        errors=errors,
        main=main_kind(errors),
        words=measure(counting, frame, image=number, n_words=len(counting)),
        detections=measure(detected, frame, image=number, n_words=len(counting)),
    )
