"""Which words were found and which detections are false: a drawing aid, not the metric.

CLEval counts characters and splits, which no single colour of a polygon can show. For the eye
it is enough that

- a word is *found* if at least half of its area is covered by the detections together;
- a detection is *false* if less than 30 % of its area lies on words, ignored words included.

A polygon without area covers nothing: such a word is not found, such a detection is false.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from optdet.structures import Detections, Word

FOUND_COVERAGE = 0.5
FALSE_COVERAGE = 0.3

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class MatchFlags:
    """``found``: (words,), ``false``: (detections,), in the order of what was matched."""

    found: BoolArray
    false: BoolArray


def match_flags(words: Sequence[Word], detections: Detections) -> MatchFlags:
    """Compare areas; see the module for the two rules."""
    word_shapes = _shapes([word.polygon for word in words])
    detection_shapes = _shapes(detections.polygons)
    return MatchFlags(
        found=_coverage(word_shapes, detection_shapes) >= FOUND_COVERAGE,
        false=_coverage(detection_shapes, word_shapes) < FALSE_COVERAGE,
    )


def _shapes(polygons: Sequence[NDArray[Any]]) -> NDArray[np.object_]:
    """Valid shapely geometries, one a polygon: self-crossing ones become what they enclose."""
    if not polygons:
        return np.empty(0, dtype=object)
    vertices = np.concatenate([np.asarray(polygon, dtype=np.float64) for polygon in polygons])
    owners = np.repeat(np.arange(len(polygons)), [len(polygon) for polygon in polygons])
    rings = np.asarray(shapely.linearrings(vertices, indices=owners), dtype=object)
    return np.asarray(shapely.make_valid(shapely.polygons(rings)), dtype=object)


def _coverage(shapes: NDArray[np.object_], covers: NDArray[np.object_]) -> NDArray[np.float64]:
    """The share of each shape's area, 0..1, that lies under the union of ``covers``."""
    if len(shapes) == 0 or len(covers) == 0:
        return np.zeros(len(shapes))
    # The union's parts are disjoint, so that areas add up; the tree spares the pairs that lie apart.
    parts = shapely.get_parts(shapely.union_all(covers))
    of_shape, of_part = shapely.STRtree(parts).query(shapes)
    overlaps = shapely.area(shapely.intersection(shapes[of_shape], parts[of_part]))
    covered = np.bincount(of_shape, weights=overlaps, minlength=len(shapes))
    areas = shapely.area(shapes)
    return np.divide(covered, areas, out=np.zeros(len(shapes)), where=areas > 0)
