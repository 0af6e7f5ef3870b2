"""Prob map to detections: the one implementation behind validation, tuning, ensembles and predict.

A :class:`MapDetector` holds one image's map and answers for any thresholds. It remembers what does not depend
on all of them: contours by ``thresh``, scores by outline, expanded polygons by outline and ``unclip_ratio``.
So a second configuration costs a fraction of the first, and both give what a fresh detector gives.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optdet.detection.candidates import (
    Candidate,
    Shape,
    expand,
    find_contours,
    polygon_candidate,
    quad_candidate,
)
from optdet.geometry.letterbox import Letterbox
from optdet.geometry.polygons import area
from optdet.geometry.raster import mean_inside
from optdet.structures import Detections, IntArray, Thresholds

MAX_DETECTIONS = 500
"""Most polygons an image may have in a submission; the highest scores are kept."""


class MapDetector:
    """One probability map (S, S), 0..1, of any float type, and the place of its image on the canvas.

    ``clip=False`` and ``max_detections=None`` give the references' bare output.
    """

    def __init__(
        self,
        prob_map: NDArray[np.floating],
        letterbox: Letterbox,
        *,
        clip: bool = True,
        max_detections: int | None = MAX_DETECTIONS,
    ) -> None:
        if prob_map.shape != (letterbox.size, letterbox.size):
            raise ValueError(f"expected a map of {letterbox.size} x {letterbox.size}, got {prob_map.shape}")
        self.prob_map = np.ascontiguousarray(prob_map, dtype=np.float32)
        self.letterbox = letterbox
        self._clip = clip
        self._max_detections = max_detections
        self._candidates: dict[tuple[float, bool], list[_Scored | None]] = {}
        self._scored: dict[bytes, _Scored] = {}
        self._expanded: dict[tuple[bytes, float, bool, float], IntArray | None] = {}

    def detect(self, thresholds: Thresholds) -> Detections:
        """Detections in image pixels, in contour order; the best ``max_detections`` where there are more."""
        polygons: list[IntArray] = []
        scores: list[float] = []
        for scored in self._candidates_at(thresholds.thresh, thresholds.use_polygon)[
            : thresholds.max_candidates
        ]:
            if (
                scored is None
                or scored.short_side < thresholds.min_side
                or scored.score < thresholds.box_thresh
            ):
                continue
            polygon = self._expand(scored, thresholds)
            if polygon is not None:
                polygons.append(polygon)
                scores.append(scored.score)
        return self._capped(polygons, np.asarray(scores, dtype=np.float64))

    def n_contours(self, thresholds: Thresholds) -> int:
        """Contours at ``thresh``, before any filter: what ``max_candidates`` counts."""
        return len(self._candidates_at(thresholds.thresh, thresholds.use_polygon))

    def _candidates_at(self, thresh: float, use_polygon: bool) -> list[_Scored | None]:
        key = (thresh, use_polygon)
        if key not in self._candidates:
            measure = polygon_candidate if use_polygon else quad_candidate
            contours = find_contours(self.prob_map, thresh)
            self._candidates[key] = [self._score(measure(contour)) for contour in contours]
        return self._candidates[key]

    def _score(self, candidate: Candidate | None) -> _Scored | None:
        if candidate is None:
            return None
        # Two contours with one rectangle may have sides that differ in the last digit.
        key = candidate.shape.tobytes() + np.float64(candidate.short_side).tobytes()
        scored = self._scored.get(key)
        if scored is None:
            score = mean_inside(self.prob_map, candidate.shape)
            scored = self._scored[key] = _Scored(key, candidate.shape, candidate.short_side, score)
        return scored

    def _expand(self, scored: _Scored, thresholds: Thresholds) -> IntArray | None:
        key = (scored.key, thresholds.unclip_ratio, thresholds.use_polygon, thresholds.min_side)
        if key not in self._expanded:
            shape = expand(
                scored.shape,
                thresholds.unclip_ratio,
                use_polygon=thresholds.use_polygon,
                min_side=thresholds.min_side,
            )
            self._expanded[key] = None if shape is None else self._to_image(shape)
        return self._expanded[key]

    def _to_image(self, shape: Shape) -> IntArray | None:
        """Rounded image pixels, clipped to the image; None for what lies in the padding alone."""
        points = np.round(self.letterbox.to_image(shape))
        if not self._clip:
            return points.astype(np.int32)
        points = np.clip(points, 0, (self.letterbox.width, self.letterbox.height))
        return points.astype(np.int32) if area(points) > 0 else None

    def _capped(self, polygons: list[IntArray], scores: NDArray[np.float64]) -> Detections:
        if self._max_detections is not None and len(polygons) > self._max_detections:
            best = np.sort(np.argsort(-scores, kind="stable")[: self._max_detections])
            return Detections(tuple(polygons[i] for i in best), scores[best])
        return Detections(tuple(polygons), scores)


class _Scored:
    """A candidate with its score, and the bytes that tell it from others."""

    __slots__ = ("key", "score", "shape", "short_side")

    def __init__(self, key: bytes, shape: Shape, short_side: float, score: float) -> None:
        self.key = key
        self.shape = shape
        self.short_side = short_side
        self.score = score
