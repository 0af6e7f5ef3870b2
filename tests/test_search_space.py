"""Ranges and choices: what lies in them, and at their ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optdet.search_space import Choice, FloatRange, ThresholdSpace, at_ends
from optdet.structures import Thresholds

USUAL = Thresholds(0.3, 0.6, 1.5, 1000, False, 3.0)


@pytest.mark.parametrize(
    ("n_values", "flagged"), [(2, []), (3, [0, 2]), (4, [0, 3]), (5, [0, 1, 3, 4]), (9, [0, 1, 7, 8])]
)
def test_ends_of_short_ranges_are_those_of_a_lattice(n_values, flagged):
    space = {"thresh": FloatRange(type="float", low=0.1, high=0.1 + 0.05 * (n_values - 1), step=0.05)}
    values = [round(0.1 + 0.05 * step, 6) for step in range(n_values)]
    assert [k for k, value in enumerate(values) if at_ends(space, {"thresh": value})] == flagged


def test_of_a_range_without_steps_the_ends_alone_count():
    space = {"thresh": FloatRange(type="float", low=0.1, high=0.5)}
    assert [at_ends(space, {"thresh": value}) for value in (0.1, 0.1001, 0.5)] == [
        ("thresh",),
        (),
        ("thresh",),
    ]


def test_what_may_stay():
    """Between two steps, and with any max_candidates: those are kept apart."""
    space = ThresholdSpace(
        thresh=FloatRange(type="float", low=0.2, high=0.4, step=0.1),
        use_polygon=Choice(type="categorical", choices=(False,)),
    )
    assert space.holds(USUAL)
    assert space.holds(replace(USUAL, thresh=0.234, max_candidates=77))
    assert not space.holds(replace(USUAL, thresh=0.41))
    assert not space.holds(replace(USUAL, use_polygon=True))
