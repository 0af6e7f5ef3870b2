"""Measures of many polygons at once."""

from __future__ import annotations

import numpy as np

from optdet.geometry.compiled_polygons import measures
from optdet.geometry.polygons import area, perimeter


def test_measures_are_those_of_the_plain_functions():
    rng = np.random.default_rng(2)
    polygons = [rng.normal(100, 40, (n, 2)) for n in (3, 4, 5, 9, 40)]
    starts = np.cumsum([0, *map(len, polygons)])
    found = measures(np.concatenate(polygons), starts)
    for polygon, (size, length, extent) in zip(polygons, found, strict=True):
        assert size == area(polygon)
        assert length == perimeter(polygon)
        assert extent == np.ptp(polygon, axis=0).max()
