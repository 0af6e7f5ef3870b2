"""Whether the compiled loops follow the installed OpenCV and Clipper, and what stands in where they do not.

The loops repeat OpenCV's and Clipper's arithmetic operation by operation. Another version may order it in
another way, which is no error of anybody, but would make a sweep find what the detector does not. So a sample
is compared once per process, in milliseconds; where one bit differs, every contour, rectangle, score and
expansion is asked of the libraries instead: slower, and right.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from optdet.detection.candidates import expand, find_contours, in_image, quad_candidate
from optdet.detection.compiled_quads import expand_all, placement, rectangles
from optdet.detection.contours import ContourLattice, trace_contours
from optdet.geometry.compiled_offset import UNSURE
from optdet.geometry.compiled_raster import OUTSIDE, VALUES, mean_inside_quads
from optdet.geometry.letterbox import Letterbox
from optdet.geometry.raster import mean_inside
from optdet.structures import FloatArray, IntArray

_SIZE: Final = 160
_THRESHOLDS: Final = (0.5,)
_RATIOS: Final = (1.7,)
_MAGNIFIED: Final = 64
"""Image pixels to one of the canvas, so that a grown quad is compared to a fraction of a pixel."""


@lru_cache(maxsize=1)
def compiled_is_exact() -> bool:
    """Whether a fixed sample of some 200 shapes comes out equal to the last bit; else says so, once."""
    exact = _sample_agrees()
    if not exact:
        warnings.warn(
            f"the compiled loops do not follow OpenCV {cv2.__version__} and its Clipper to the last bit: "
            "a sweep asks the libraries for every shape, which is slower and gives the same results",
            RuntimeWarning,
            stacklevel=2,
        )
    return exact


def contours_one_by_one(prob_map: NDArray[np.float16], thresholds: Sequence[float]) -> ContourLattice:
    """What ``trace_contours`` gives, from OpenCV."""
    known: dict[bytes, int] = {}
    outlines: list[IntArray] = []
    found: list[int] = []
    starts = [0]
    values = np.ascontiguousarray(prob_map, dtype=np.float32)
    for thresh in thresholds:
        for contour in find_contours(values, thresh):
            index = known.setdefault(contour.tobytes(), len(outlines))
            if index == len(outlines):
                outlines.append(contour.reshape(-1, 2))
            found.append(index)
        starts.append(len(found))
    sizes = [len(outline) for outline in outlines]
    return ContourLattice(
        thresholds=tuple(thresholds),
        starts=np.array(starts, dtype=np.int64),
        contours=np.array(found, dtype=np.int32),
        point_starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        points=np.concatenate([np.zeros((0, 2), dtype=np.int32), *outlines]),
    )


def rectangles_one_by_one(contours: ContourLattice) -> tuple[NDArray[np.float32], FloatArray]:
    """What ``compiled_quads.rectangles`` gives, from OpenCV."""
    quads = np.zeros((contours.n_distinct, 4, 2), dtype=np.float32)
    sides = np.zeros(contours.n_distinct, dtype=np.float64)
    for index in range(contours.n_distinct):
        candidate = quad_candidate(contours.outline(index))
        quads[index], sides[index] = candidate.shape, candidate.short_side
    return quads, sides


def _sample() -> NDArray[np.float16]:
    """Turned words and blots of all sizes."""
    rng = np.random.default_rng(0)
    prob_map = cv2.GaussianBlur(rng.random((_SIZE, _SIZE), dtype=np.float32), (0, 0), 1.2)
    prob_map = 0.5 + (prob_map - 0.5) * 2
    for _ in range(24):
        centre, sides, turn = (
            rng.uniform(10, _SIZE - 10, 2),
            rng.uniform((14, 5), (40, 14)),
            rng.uniform(0, 180),
        )
        corners = cv2.boxPoints((centre.tolist(), sides.tolist(), float(turn)))
        cv2.fillPoly(prob_map, [corners.astype(np.int32)], float(rng.uniform(0.2, 1)))
    return np.asarray(np.clip(prob_map, 0, 1), np.float16)


def _sample_agrees() -> bool:
    prob_map = _sample()
    traced, plain = trace_contours(prob_map, _THRESHOLDS), contours_one_by_one(prob_map, _THRESHOLDS)
    if not np.array_equal(traced.starts, plain.starts):
        return False
    pairs = zip(traced.contours, plain.contours, strict=True)
    if not all(np.array_equal(traced.outline(a), plain.outline(b)) for a, b in pairs):
        return False
    quads, sides = rectangles(plain.points, plain.point_starts)
    plain_quads, plain_sides = rectangles_one_by_one(plain)
    flat = sides == 0  # lines and points: the loop leaves them out, OpenCV gives them a side of about 0
    if not np.array_equal(quads[~flat], plain_quads[~flat]) or not np.array_equal(
        sides[~flat], plain_sides[~flat]
    ):
        return False
    if plain_sides[flat].max(initial=0) > 1e-3:
        return False
    quads = quads[sides >= 2]
    return _scores_agree(prob_map, quads) and _expansions_agree(quads)


def _scores_agree(prob_map: NDArray[np.float16], quads: NDArray[np.float32]) -> bool:
    means, values = mean_inside_quads(prob_map.view(np.uint16), VALUES, quads), prob_map.astype(np.float32)
    return all(
        mean in (OUTSIDE, mean_inside(values, quad)) for mean, quad in zip(means.tolist(), quads, strict=True)
    )


def _expansions_agree(quads: NDArray[np.float32]) -> bool:
    letterbox = Letterbox(_SIZE * _MAGNIFIED, _SIZE * _MAGNIFIED, _SIZE)
    polygons, state = expand_all(quads, np.array(_RATIOS), 0.0, placement(letterbox))
    for u, r in np.argwhere(state != UNSURE):
        shape = expand(quads[r], _RATIOS[u], use_polygon=False, min_side=0.0)
        polygon = None if shape is None else in_image(shape, letterbox)
        if (polygon is not None) != state[u, r]:
            return False
        if polygon is not None and not np.array_equal(polygon, polygons[u, r]):
            return False
    return True
