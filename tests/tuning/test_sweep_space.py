"""Spaces as lattices: their values, and what is too fine to be swept."""

from __future__ import annotations

import re

import pytest

from optdet.config import PostprocessConfig, TuneConfig
from optdet.errors import OptdetError
from optdet.tuning.sweep_space import MAX_POINTS, lattices


def ranged(low, high, step=None, kind="float"):
    return {"type": kind, "low": low, "high": high} | ({} if step is None else {"step": step})


IN_USE = PostprocessConfig().thresholds()


def searched(**space):
    quads = {"type": "categorical", "choices": [False]}
    return TuneConfig.model_validate({"space": {"use_polygon": quads} | space})


def test_the_usual_lattices():
    quads, polygons = lattices(TuneConfig(), IN_USE)
    assert [len(axis) for axis in (quads.thresh, quads.box_thresh, quads.unclip_ratio)] == [181, 181, 21]
    assert (quads.thresh[0], quads.thresh[-1], quads.max_candidates) == (0.05, 0.95, (500, 1000))
    assert polygons.thresh[:3] == (0.05, 0.1, 0.15)
    assert polygons.unclip_ratio[:3] == (1.0, 1.25, 1.5)
    assert len(quads) < MAX_POINTS


def test_whole_numbers_and_steps_below_the_rounding():
    fine = {"thresh": ranged(0.2, 0.2 + 1e-8, 1e-10), "box_thresh": ranged(0.2, 0.3, 0.1)}
    (lattice,) = lattices(searched(**fine, max_candidates=ranged(100, 350, 100, "int")), IN_USE)
    assert lattice.max_candidates == (100, 200, 300)
    assert len(lattice.thresh) == 11
    assert lattice.box_thresh == (0.2, 0.3)


@pytest.mark.parametrize(
    ("axis", "dimension", "excess", "kind"),
    [
        ("thresh", ranged(0.2, 0.4, 1e-9), "200,000,001 values of thresh, at most 255", "float"),
        ("unclip_ratio", ranged(1, 1000), "9,991 values of unclip_ratio, at most 100", "float"),
        ("box_thresh", ranged(0.2, 0.4, 1e-6), "points with 200,001 values of box_thresh", "float"),
        ("max_candidates", ranged(1, 10**9, 1, "int"), "with 1,000,000,000 values of max_candidates", "int"),
    ],
)
def test_what_is_too_fine_says_which_axis_and_what_step_would_do(axis, dimension, excess, kind):
    with pytest.raises(OptdetError, match=excess) as refused:
        lattices(searched(**{axis: dimension}), IN_USE)
    assert f"space.{axis}" in str(refused.value)
    step = float(re.search(r"a step of (\S+) or more", str(refused.value))[1])
    step = int(step) if kind == "int" else step
    (lattice,) = lattices(searched(**{axis: dimension | {"step": step}}), IN_USE)
    assert len(getattr(lattice, axis)) >= 2
    assert len(lattice) <= MAX_POINTS


def test_too_many_choices():
    choices = {"type": "categorical", "choices": [step / 300 for step in range(300)]}
    with pytest.raises(OptdetError, match=r"300 values of thresh.*name at most 255 choices"):
        lattices(searched(thresh=choices), IN_USE)
