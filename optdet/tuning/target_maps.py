"""Maps as a good detector would give them: the shrunk words of labelled images, a little blurred.

After two updates a network finds nothing; on these, post-processing and tuning have real polygons to do.
"""

from __future__ import annotations

import cv2
import numpy as np

from optdet.config import TargetConfig
from optdet.data.sets import ImageSet
from optdet.detection.postprocess import MapDetector
from optdet.detection.targets import build_targets
from optdet.evaluation.scorer import ImageScorer

_BLUR = 1.0


def target_scorers(images: ImageSet, target: TargetConfig) -> list[ImageScorer]:
    """Fresh scorers, which remember nothing, of target-like maps in float16, as final maps are."""
    found = []
    for index, (sample, letterbox) in enumerate(zip(images.samples, images.letterboxes, strict=True)):
        shrink_map = build_targets(
            images.canvas_polygons(index),
            [word.ignored for word in sample.words],
            letterbox.canvas_height,
            shrink_ratio=target.shrink_ratio,
            min_side=target.min_side,
            thresh_branch=False,
        ).shrink_map
        prob_map = cv2.GaussianBlur(shrink_map, (0, 0), _BLUR).astype(np.float16)
        found.append(ImageScorer(sample.name, MapDetector(prob_map, letterbox), sample.words))
    return found
