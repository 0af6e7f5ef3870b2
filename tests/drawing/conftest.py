"""A dense sweep to draw."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optdet.drawing.sweep_view import NamedPoint, SweepView

AXIS = np.round(np.arange(0.1, 0.91, 0.1), 2)


def _hill(best: tuple[float, float, float] = (0.4, 1.5, 0.6), **changes: Any) -> SweepView:
    """A hill of H-mean about ``best`` (thresh, unclip_ratio, box_thresh); recall falls with box_thresh."""
    unclip = np.array([1.0, 1.25, 1.5, 1.75, 2.0])
    t, u, b = np.meshgrid(AXIS, unclip, AXIS, indexing="ij")
    hmean = 0.95 - 0.2 * (t - best[0]) ** 2 - 0.05 * (u - best[1]) ** 2 - 0.3 * (b - best[2]) ** 2
    view = SweepView(
        thresh=AXIS,
        box_thresh=AXIS,
        unclip_ratio=unclip,
        hmean=hmean,
        precision=hmean + 0.04 * (b - 0.5),
        recall=hmean - 0.04 * (b - 0.5),
        n_detections=np.rint(1000 * (1.5 - b)).astype(np.int64),
        standard_error=0.002,
        title="a hill",
    )
    return dataclasses.replace(view, **changes)


def _named_point(name: str, thresh: float, box_thresh: float) -> NamedPoint:
    precision, recall = 0.92 + 0.04 * (box_thresh - 0.5), 0.92 + 0.04 * (thresh - 0.5)
    return NamedPoint(name, thresh, box_thresh, 1.5, precision, recall, 0.918)


@pytest.fixture
def hill() -> Callable[..., SweepView]:
    return _hill


@pytest.fixture
def named_point() -> Callable[[str, float, float], NamedPoint]:
    return _named_point
