"""Parting images by a hash of their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optdet.data.holdout import hold_out
from optdet.errors import OptdetError
from optdet.structures import Sample, Word

QUAD = np.array([[0.0, 0.0], [9.0, 0.0], [9.0, 5.0], [0.0, 5.0]])


def sample(name, *, readable=True):
    return Sample(name, Path(name), (Word(QUAD, ignored=not readable),))


@given(st.sets(st.text(min_size=1), min_size=2, max_size=60), st.integers(0, 20), st.randoms())
def test_the_parts_are_disjoint_whole_and_independent_of_order(names, n_empty, random):
    samples = [sample(name) for name in names] + [sample(f"/{n}", readable=False) for n in range(n_empty)]
    samples = list(
        {s.name: s for s in samples if s.name not in names or s.words[0].ignored is False}.values()
    )
    parts = hold_out(samples)
    train, val = ({s.name for s in part} for part in (parts.train, parts.val))
    assert not train & val
    assert train | val == {s.name for s in samples}
    assert [s.name for s in parts.train] == [s.name for s in samples if s.name in train]
    for part in (parts.train, parts.val):
        assert any(not word.ignored for s in part for word in s.words)
    random.shuffle(samples)
    assert {s.name for s in hold_out(samples).val} == val


def test_a_fifth_is_held_out_of_those_with_words_and_those_without():
    samples = [sample(f"{n}.jpg") for n in range(50)] + [
        sample(f"e{n}.jpg", readable=False) for n in range(20)
    ]
    val = hold_out(samples).val
    assert (len(val), sum(s.words[0].ignored for s in val)) == (14, 4)


def test_an_image_that_is_added_moves_at_most_one_other():
    samples = [sample(f"{n}.jpg") for n in range(50)]
    before = {s.name for s in hold_out(samples).val}
    after = {s.name for s in hold_out([*samples, sample("new.jpg")]).val}
    assert len(before ^ after) <= 2


def test_the_parts_are_the_same_on_every_machine():
    assert [s.name for s in hold_out([sample(f"{n}.jpg") for n in range(10)]).val] == ["0.jpg", "5.jpg"]


def test_one_image_with_words_cannot_be_parted():
    with pytest.raises(OptdetError, match=r"1 images with readable words cannot be parted"):
        hold_out([sample("1.jpg"), sample("2.jpg", readable=False)])


@given(st.lists(st.integers(0, 12), min_size=2, max_size=60), st.randoms())
def test_images_of_a_group_stay_together(numbers, random):
    samples = [sample(f"{n}.jpg") for n in range(len(numbers))]
    groups = {f"{n}.jpg": f"g{number}" for n, number in enumerate(numbers) if number < 10}
    if len({groups.get(s.name, s.name) for s in samples}) < 2:
        with pytest.raises(OptdetError, match="1 groups of images with readable words cannot be parted"):
            hold_out(samples, groups)
        return
    parts = hold_out(samples, groups)
    train, val = ({groups.get(s.name, s.name) for s in part} for part in (parts.train, parts.val))
    assert train
    assert val
    assert not train & val
    random.shuffle(samples)
    assert {s.name for s in hold_out(samples, groups).val} == {s.name for s in parts.val}


def test_of_groups_as_many_as_come_nearest_to_a_fifth():
    samples = [sample(f"{n}.jpg") for n in range(40)]
    groups = {s.name: f"g{n // 4}" for n, s in enumerate(samples)}
    assert len(hold_out(samples, groups).val) == 8
