"""Records that cross layers."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from optdet.structures import Detections, Problem, Thresholds

THRESHOLDS = Thresholds(0.3, 0.6, 1.5, 1000, False, 3.0)


def test_thresholds_survive_json():
    assert Thresholds.from_dict(json.loads(json.dumps(THRESHOLDS.as_dict()))) == THRESHOLDS
    assert list(THRESHOLDS.as_dict()) == [
        "thresh",
        "box_thresh",
        "unclip_ratio",
        "max_candidates",
        "use_polygon",
        "min_side",
    ]


def test_thresholds_are_keys_and_frozen():
    assert {THRESHOLDS: 1}[Thresholds(0.3, 0.6, 1.5, 1000, False, 3)] == 1
    with pytest.raises(FrozenInstanceError):
        THRESHOLDS.thresh = 0.5


def test_a_problem_says_where_and_why():
    assert str(Problem("gt.txt", "3", "two points")) == "gt.txt:3: two points"


def test_detections_are_counted():
    assert len(Detections((np.zeros((4, 2), np.int32),), np.array([0.5]))) == 1
