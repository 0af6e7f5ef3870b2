"""What holds for any words: targets, then post-processing, give them back."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from optdet.detection.postprocess import MapDetector
from optdet.detection.targets import build_targets
from optdet.geometry.letterbox import Letterbox
from optdet.metrics.iou import iou_matrix
from optdet.structures import Thresholds

DETECTION = settings(deadline=None, max_examples=25)
SIZE = 512
CELL = np.array([256, 128])
# Cores shrunk by 0.4 grow back to about the word at a ratio of 1.6, for words of these shapes.
GROW_BACK = Thresholds(0.3, 0.6, 1.6, 1000, False, 3.0)


@st.composite
def words_apart(draw):
    """Rectangles turned by up to 15 degrees, each in a cell of its own."""
    words = []
    for cell in draw(st.sets(st.integers(0, 7), min_size=1)):
        height = draw(st.floats(48, 62))
        width = height * draw(st.floats(1.3, 3))
        turn = np.deg2rad(draw(st.floats(-15, 15)))
        corners = np.array([[-width, -height], [width, -height], [width, height], [-width, height]]) / 2
        rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        centre = (np.array([cell % 2, cell // 2]) + 0.5) * CELL
        words.append(corners @ rotation + centre)
    return words


@DETECTION
@given(words_apart(), st.booleans())
def test_targets_then_postprocessing_give_the_words_back(words, use_polygon):
    shrink_map = build_targets(words, [False] * len(words), SIZE).shrink_map.astype(np.float32)
    # A polygon's round corners cost it area, which a higher ratio makes up for.
    thresholds = replace(GROW_BACK, use_polygon=True, unclip_ratio=1.8) if use_polygon else GROW_BACK
    detections = MapDetector(shrink_map, Letterbox(SIZE, SIZE, SIZE)).detect(thresholds)
    assert len(detections) == len(words)
    overlaps = iou_matrix(words, detections.polygons)
    assert overlaps.max(axis=1).min() > 0.7
    assert sorted(overlaps.argmax(axis=1).tolist()) == list(range(len(words)))


@DETECTION
@given(words_apart())
def test_targets_are_consistent(words):
    targets = build_targets(words, [False] * len(words), SIZE)
    # A core lies where the threshold map is learnt, and the map stays within its bounds.
    assert (targets.thresh_mask[targets.shrink_map == 1] == 1).all()
    assert targets.closeness.min() >= 0
    thresh_map = targets.thresh_map(thresh_min=0.3, thresh_max=0.7)
    assert thresh_map.min() >= np.float32(0.3)
    assert thresh_map.max() <= 0.7 + 1e-6
    assert targets.shrink_mask.all()


@DETECTION
@given(words_apart(), st.randoms(use_true_random=False))
def test_the_order_of_words_does_not_matter(words, random):
    flags = [random.random() < 0.3 for _ in words]
    first = build_targets(words, flags, SIZE)
    order = list(range(len(words)))
    random.shuffle(order)
    second = build_targets([words[i] for i in order], [flags[i] for i in order], SIZE)
    for name in ("shrink_map", "shrink_mask", "closeness", "thresh_mask"):
        assert np.array_equal(getattr(first, name), getattr(second, name))


@DETECTION
@given(words_apart(), st.integers(1, 600), st.integers(1, 600), st.sampled_from(["center", "topleft"]))
def test_detections_stay_within_the_image(words, width, height, pad):
    shrink_map = build_targets(words, [False] * len(words), SIZE).shrink_map.astype(np.float32)
    detections = MapDetector(shrink_map, Letterbox(width, height, SIZE, pad)).detect(GROW_BACK)
    for polygon in detections.polygons:
        assert polygon.min() >= 0
        assert (polygon.max(axis=0) <= (width, height)).all()
    assert ((detections.scores >= GROW_BACK.box_thresh) & (detections.scores <= 1)).all()


@DETECTION
@given(words_apart(), st.lists(st.floats(0.05, 0.95), min_size=2, max_size=5))
def test_a_higher_box_thresh_only_takes_away(words, box_threshs):
    shades = np.linspace(0.3, 1, SIZE, dtype=np.float32)
    prob_map = build_targets(words, [False] * len(words), SIZE).shrink_map * shades
    detector = MapDetector(prob_map, Letterbox(SIZE, SIZE, SIZE))
    kept = [
        {p.tobytes() for p in detector.detect(Thresholds(0.2, box_thresh, 2.0, 1000, False, 3.0)).polygons}
        for box_thresh in sorted(box_threshs)
    ]
    for lower, higher in pairwise(kept):
        assert higher <= lower
