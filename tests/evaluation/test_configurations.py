"""A few configurations of one map: what the plain pipeline detects at each."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from optdet.config import PostprocessConfig
from optdet.detection.postprocess import MAX_DETECTIONS, MapDetector
from optdet.evaluation.configurations import detect_at
from optdet.geometry.letterbox import Letterbox

USUAL = replace(PostprocessConfig().thresholds(), thresh=0.5)


def blots(seed, size=256):
    """A map of hundreds of words and specks, float16."""
    values = np.random.default_rng(seed).random((size, size), dtype=np.float32)
    return np.clip(0.5 + 4 * (cv2.GaussianBlur(values, (0, 0), 2.5) - 0.5), 0, 1).astype(np.float16)


def same(one, other):
    return (
        len(one) == len(other)
        and all(np.array_equal(a, b) for a, b in zip(one.polygons, other.polygons, strict=True))
        and np.array_equal(one.scores, other.scores)
    )


@pytest.mark.parametrize("seed", range(3))
def test_each_configuration_is_what_the_plain_pipeline_detects(seed):
    configurations = [
        USUAL,
        replace(USUAL, thresh=0.6, box_thresh=0.62),
        replace(USUAL, unclip_ratio=2.1, max_candidates=70),
        replace(USUAL, use_polygon=True, min_side=2.0),
        replace(USUAL, min_side=7.0, box_thresh=0.0),
        USUAL,
    ]
    given, place = blots(seed), Letterbox(300, 211, 256)
    found = detect_at(MapDetector(given, place), configurations)
    plain = [MapDetector(given, place).detect(each) for each in configurations]
    assert all(same(*pair) for pair in zip(found, plain, strict=True))
    assert len({len(each) for each in found}) > 3


def test_the_highest_scores_are_kept_where_there_are_too_many():
    given, place = blots(7, 1024), Letterbox(1024, 1024, 1024)
    everything = replace(USUAL, box_thresh=0.0, max_candidates=100_000)
    [found] = detect_at(MapDetector(given, place), [everything])
    assert len(found) == MAX_DETECTIONS
    assert same(found, MapDetector(given, place).detect(everything))
    assert detect_at(MapDetector(given, place), []) == []
