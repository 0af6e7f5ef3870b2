"""A file's polygons with fewer points, and how much of their shape that costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdet.errors import OptdetError
from optdet.geometry.simplify import MIN_POINTS, simplified
from optdet.metrics.iou import iou_matrix
from optdet.phrases import counted
from optdet.structures import FloatArray, OnImage


@dataclass(frozen=True, slots=True)
class Simplified:
    """Polygons by image. ``ious`` (n,) of those that were changed, each with what it was before."""

    polygons: Mapping[str, Sequence[NDArray[Any]]]
    max_points: int
    ious: FloatArray

    def line(self) -> str:
        """For a terminal."""
        if not len(self.ious):
            return f"simplified nothing: no polygon has more than {self.max_points} points"
        low, middle = self.ious.min(), np.median(self.ious)
        return (
            f"simplified {counted(len(self.ious), 'polygon')} to at most {self.max_points} points; IoU with "
            f"the original {low:.4f} / {middle:.4f} (min / median)"
        )

    def as_json(self) -> dict[str, Any]:
        known = len(self.ious) > 0
        return {
            "max_points": self.max_points,
            "polygons": len(self.ious),
            "iou_min": float(self.ious.min()) if known else None,
            "iou_median": float(np.median(self.ious)) if known else None,
        }


def require_points(max_points: int | None) -> None:
    """OptdetError for fewer than a polygon of a submission has."""
    if max_points is not None and max_points < MIN_POINTS:
        raise OptdetError(
            f"{max_points} points are too few for a polygon",
            where="--simplify",
            fix=f"give {MIN_POINTS} or more",
        )


def simplify_predictions(
    predictions: Mapping[str, Sequence[NDArray[Any]]],
    max_points: int,
    *,
    on_image: OnImage | None = None,
) -> Simplified:
    """Every polygon with at most ``max_points`` points; OptdetError for fewer than 4 of them."""
    require_points(max_points)
    found, ious = {}, []
    for index, (name, polygons) in enumerate(predictions.items(), start=1):
        fewer = [simplified(polygon, max_points) for polygon in polygons]
        ious += [
            float(iou_matrix([before], [after])[0, 0])
            for before, after in zip(polygons, fewer, strict=True)
            if after is not before
        ]
        found[name] = fewer
        if on_image is not None:
            on_image(index, len(predictions))
    return Simplified(found, max_points, np.array(ious, dtype=np.float64))
