"""Prob map to detections: the one implementation behind validation, tuning, ensembles and predict.

A :class:`MapDetector` holds one image's map and answers for any thresholds. It remembers what does not depend
on all of them: contours by ``thresh``, scores by outline, expanded polygons by outline and ``unclip_ratio``.
So a second configuration costs a fraction of the first, and both give what a fresh detector gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from optdet.detection.candidates import (
    Candidate,
    expand,
    find_contours,
    in_image,
    polygon_candidate,
    quad_candidate,
)
from optdet.geometry.placement import Placement
from optdet.geometry.raster import mean_inside
from optdet.structures import Detections, IntArray, Thresholds

MAX_DETECTIONS = 500
"""Most polygons an image may have in a submission; the highest scores are kept."""


class MapDetector:
    """One probability map (H, W), 0..1, of any float type, and the place of its image on that canvas.

    ``clip=False`` and ``max_detections=None`` give the references' bare output.
    """

    def __init__(
        self,
        prob_map: NDArray[np.floating],
        letterbox: Placement,
        *,
        clip: bool = True,
        max_detections: int | None = MAX_DETECTIONS,
    ) -> None:
        expected = (letterbox.canvas_height, letterbox.canvas_width)
        if prob_map.shape != expected:
            raise ValueError(f"expected a map of {expected[0]} x {expected[1]}, got {prob_map.shape}")
        self._given = prob_map
        self.letterbox = letterbox
        self._clip = clip
        self._max_detections = max_detections
        self._candidates: dict[tuple[float, bool], Sequence[Candidate | None]] = {}
        self._scores: dict[bytes, float] = {}
        self._expanded: dict[tuple[bytes, float, bool, float], IntArray | None] = {}

    @property
    def given_map(self) -> NDArray[np.floating]:
        """The map as it was given: of its own float type, and perhaps on disk."""
        return self._given

    @cached_property
    def prob_map(self) -> NDArray[np.float32]:
        return np.ascontiguousarray(self._given, dtype=np.float32)

    @property
    def peak(self) -> float:
        """The map's highest value; of a float16 map by its bits, since float16 has slow arithmetic."""
        if self._given.dtype != np.float16:
            return float(self._given.max())
        return float(np.ascontiguousarray(self._given).view(np.int16).max().view(np.float16))

    @property
    def half_map(self) -> NDArray[np.float16]:
        """The map in float16; ValueError for one that is not the same in it."""
        half = np.asarray(self._given, dtype=np.float16)
        if self._given.dtype != np.float16 and not np.array_equal(half, self._given):
            raise ValueError("expected a float16 map: final maps are rounded to it before they are scored")
        return half

    def detect(self, thresholds: Thresholds) -> Detections:
        """Detections in image pixels, in contour order; the best ``max_detections`` where there are more."""
        polygons: list[IntArray] = []
        scores: list[float] = []
        candidates = self._candidates_at(thresholds.thresh, thresholds.use_polygon)
        for candidate in candidates[: thresholds.max_candidates]:
            if candidate is None or candidate.short_side < thresholds.min_side:
                continue
            key = candidate.shape.tobytes()
            score = self._score(key, candidate)
            if score < thresholds.box_thresh:
                continue
            polygon = self._expand(key, candidate, thresholds)
            if polygon is not None:
                polygons.append(polygon)
                scores.append(score)
        return self._capped(polygons, np.asarray(scores, dtype=np.float64))

    def forget(self) -> None:
        """Free what is remembered, the float32 map among it: it is computed anew when it is asked for."""
        self.__dict__.pop("prob_map", None)
        for remembered in (self._candidates, self._scores, self._expanded):
            remembered.clear()

    def n_contours(self, thresholds: Thresholds) -> int:
        """Contours at ``thresh``, before any filter: what ``max_candidates`` counts."""
        return len(self._candidates_at(thresholds.thresh, thresholds.use_polygon))

    def _candidates_at(self, thresh: float, use_polygon: bool) -> Sequence[Candidate | None]:
        key = (thresh, use_polygon)
        if key not in self._candidates:
            measure = polygon_candidate if use_polygon else quad_candidate
            self._candidates[key] = [measure(contour) for contour in find_contours(self.prob_map, thresh)]
        return self._candidates[key]

    def _score(self, key: bytes, candidate: Candidate) -> float:
        score = self._scores.get(key)
        if score is None:
            score = self._scores[key] = mean_inside(self.prob_map, candidate.shape)
        return score

    def _expand(self, outline: bytes, candidate: Candidate, thresholds: Thresholds) -> IntArray | None:
        key = (outline, thresholds.unclip_ratio, thresholds.use_polygon, thresholds.min_side)
        if key not in self._expanded:
            shape = expand(
                candidate.shape,
                thresholds.unclip_ratio,
                use_polygon=thresholds.use_polygon,
                min_side=thresholds.min_side,
            )
            self._expanded[key] = None if shape is None else in_image(shape, self.letterbox, clip=self._clip)
        return self._expanded[key]

    def _capped(self, polygons: list[IntArray], scores: NDArray[np.float64]) -> Detections:
        if self._max_detections is not None and len(polygons) > self._max_detections:
            best = np.sort(np.argsort(-scores, kind="stable")[: self._max_detections])
            return Detections(tuple(polygons[i] for i in best), scores[best])
        return Detections(tuple(polygons), scores)
