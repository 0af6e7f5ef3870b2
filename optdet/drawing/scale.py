"""Where the colours of a heat map begin and end."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import Normalize
from numpy.typing import ArrayLike


def top_scale(values: ArrayLike, *, depth: float | None = None) -> Normalize:
    """Colours for what lies about the best: one collapsed corner must not flatten all else.

    The lowest colour stands for whatever is further below the median than three times the median is below the
    best, or for whatever is more than ``depth`` below the best. Values are finite.
    """
    array = np.asarray(values, dtype=np.float64)
    high, median = float(array.max()), float(np.median(array))
    low = max(float(array.min()), median - 3 * (high - median))
    if depth is not None:
        low = max(low, high - depth)
    if high - low < 1e-6:
        low = high - 1e-3
    return Normalize(low, high)
