"""The detections of one map at a few configurations, by the compiled loops of the sweep."""

from __future__ import annotations

from collections.abc import Sequence

from optdet.detection.lattice import find_candidates
from optdet.detection.postprocess import MapDetector
from optdet.evaluation.landscape import chosen_shapes
from optdet.structures import Detections, Thresholds


def detect_at(detector: MapDetector, configurations: Sequence[Thresholds]) -> list[Detections]:
    """What ``detector.detect`` gives at each, in a fraction of its time, and with nothing kept.

    Contours, scores and polygons that configurations have in common are found once. ValueError for a map
    that float16 cannot hold.
    """
    by_kind: dict[tuple[bool, float], list[Thresholds]] = {}
    for each in configurations:
        by_kind.setdefault((each.use_polygon, each.min_side), []).append(each)
    found: dict[Thresholds, Detections] = {}
    for (use_polygon, min_side), alike in by_kind.items():
        threshs = sorted({each.thresh for each in alike})
        ratios = sorted({each.unclip_ratio for each in alike})
        candidates = find_candidates(
            detector.half_map, detector.letterbox, threshs, ratios, use_polygon=use_polygon, min_side=min_side
        )
        for each in alike:
            u = ratios.index(each.unclip_ratio)
            shapes = chosen_shapes(candidates, threshs.index(each.thresh), u, each)
            polygons = tuple(candidates.polygon(index) for index in candidates.polygon_of[u, shapes])
            found[each] = Detections(polygons, candidates.scores[shapes])
    return [found[each] for each in configurations]
