"""Images of the report: which are shown, and what each shows of its words and detections.

Which word was found and which detection is false is what CLEval says of them (``evaluation.error_kinds``).
Polygons are whole image pixels, (x, y), flat: ``[x, y, x, y, ...]``. H-means are the competition's, 0..1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from optdet.data.images import read_image
from optdet.detection.postprocess import MapDetector
from optdet.evaluation.error_costs import counted_kind
from optdet.evaluation.error_kinds import find_errors
from optdet.evaluation.evaluate import Evaluation
from optdet.evaluation.truth import Polygon
from optdet.report.pictures import image_url, map_url
from optdet.structures import Sample

Group = Literal["worst", "improved", "harmed"]


@dataclass(frozen=True, slots=True)
class Found:
    """A configuration on all images: what to call it, its polygons by image name, and its scores."""

    title: str
    polygons: Mapping[str, Sequence[Polygon]]
    evaluation: Evaluation

    @property
    def hmeans(self) -> dict[str, float]:
        return dict(zip(self.evaluation.names, self.evaluation.hmeans.tolist(), strict=True))


def choose_images(
    now: Mapping[str, float], before: Mapping[str, float] | None, n: int
) -> dict[str, list[Group]]:
    """At most ``n`` image names with the groups that each is in, the lowest H-mean first: a quarter changed
    most for the better and a quarter for the worse, as far as so many did; the worst are the rest."""
    change = {} if before is None else {name: now[name] - before[name] for name in now}
    chosen: dict[str, list[Group]] = {}
    for name in sorted(change, key=lambda name: (-change[name], name))[: n // 4]:
        if change[name] > 0:
            chosen.setdefault(name, []).append("improved")
    for name in sorted(change, key=lambda name: (change[name], name))[: n // 4]:
        if change[name] < 0:
            chosen.setdefault(name, []).append("harmed")
    by_hmean = sorted(now, key=lambda name: (now[name], name))
    for name in by_hmean:
        if len(chosen) >= n and name not in chosen:
            break
        if now[name] < 1 or not chosen:
            chosen.setdefault(name, []).append("worst")
    return {name: chosen[name] for name in by_hmean if name in chosen}


def gallery_image(
    sample: Sample,
    groups: Sequence[Group],
    detector: MapDetector | None,
    now: Found,
    before: Found | None,
) -> dict[str, Any]:
    """One image for the page; ``detector`` has its probability map, None where there is none.

    Raises OptdetError where the image cannot be read.
    """
    image = read_image(sample.image_path)
    heat = None
    if detector is not None:
        heat = map_url(np.clip(detector.letterbox.map_to_image(detector.prob_map), 0, 1))
    return {
        "name": sample.name,
        "groups": list(groups),
        "width": image.shape[1],
        "height": image.shape[0],
        "image": image_url(image),
        "map": heat,
        "now": _shown(sample, now),
        "before": None if before is None else _shown(sample, before),
    }


def _shown(sample: Sample, found: Found) -> dict[str, Any]:
    """The scores of an image, its errors as the table of kinds counts them, and each word and detection with
    its kind."""
    polygons = found.polygons.get(sample.name, ())
    errors = find_errors(sample.words, polygons)
    counts = errors.counts
    return {
        "hmean": round(counts.hmean, 6),
        "precision": round(counts.precision, 6),
        "recall": round(counts.recall, 6),
        "errors": [counted_kind(number, kind) for kind, number in errors.numbers.items() if number],
        "words": [
            [outcome.kind, _flat(word.polygon), word.text or ""]
            for word, outcome in zip(sample.words, errors.words, strict=True)
        ],
        "detections": [
            [outcome.kind, _flat(polygon)]
            for polygon, outcome in zip(polygons, errors.detections, strict=True)
        ],
    }


def _flat(polygon: Polygon) -> list[int]:
    return [int(value) for value in np.rint(np.asarray(polygon, np.float64)).ravel()]
