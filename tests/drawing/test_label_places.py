"""Labels beside crowded marks: apart, inside, off the marks, the same again."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from optdet.drawing.label_places import nearest_on_box, place_labels

AREA = (0.0, 0.0, 560.0, 520.0)
CROWD = np.array(
    # Nine candidates within thirty pixels, as they lie on a landscape from .05 to .95.
    [[24, 25], [26, 25], [28, 25], [24, 28], [24, 30], [26, 28], [25, 27], [23, 26], [27, 26]]
)
MARKS = np.concatenate([CROWD * 6.0, [[200, 300], [210, 300], [3, 515], [555, 5]]])


@pytest.mark.parametrize("marks", [MARKS, np.tile([[280.0, 260.0]], (6, 1))], ids=["crowd", "one place"])
def test_labels_neither_touch_nor_leave_the_area(marks: np.ndarray) -> None:
    sizes = np.tile([[110.0, 18.0]], (len(marks), 1))
    before = marks.copy(), sizes.copy()
    middles = place_labels(marks, sizes, AREA)
    for a, b in itertools.combinations(middles, 2):
        assert (np.abs(a - b) >= sizes[0]).any()
    assert (middles - sizes / 2 >= AREA[:2]).all()
    assert (middles + sizes / 2 <= AREA[2:]).all()
    gaps = np.abs(middles[:, None] - marks) - sizes / 2
    assert (gaps > 0).any(axis=2).all(), "a label hides a mark"
    np.testing.assert_array_equal(place_labels(marks, sizes, AREA), middles)
    np.testing.assert_array_equal(marks, before[0])
    np.testing.assert_array_equal(sizes, before[1])


@pytest.mark.parametrize("width", [110.0, 160.0])
def test_no_leader_runs_through_another_mark(width: float) -> None:
    marks, sizes = CROWD * 6.0, np.tile([[width, 20.0]], (len(CROWD), 1))
    ends = nearest_on_box(place_labels(marks, sizes, AREA), sizes, marks)
    for i, (start, end) in enumerate(zip(marks, ends, strict=True)):
        steps = start + np.linspace(0, 1, 200)[:, None] * (end - start)
        others = np.delete(marks, i, axis=0)
        assert np.hypot(*(steps[:, None] - others).transpose(2, 0, 1)).min() > 3


def test_a_lone_label_is_beside_its_mark() -> None:
    marks, sizes = np.array([[100.0, 100.0]]), np.array([[80.0, 20.0]])
    gap = np.hypot(*(nearest_on_box(place_labels(marks, sizes, AREA), sizes, marks) - marks)[0])
    assert 8 < gap < 13


def test_without_room_they_overlap_rather_than_fail() -> None:
    sizes = np.tile([[100.0, 40.0]], (8, 1))
    assert np.isfinite(place_labels(np.full((8, 2), 60.0), sizes, (0, 0, 120, 60))).all()
