"""Which images an epoch has: a permutation, or each source's share of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optdet.config import SourceConfig
from optdet.data.sampling import (
    SourcePart,
    epoch_order,
    expected_length,
    source_of_images,
    source_parts,
)

EPOCHS = st.integers(1, 1000)
SEEDS = st.integers(0, 2**32 - 1)
PARTS = st.lists(
    st.tuples(st.integers(1, 200), st.floats(0.02, 4.0)).map(lambda given: SourcePart("", *given)),
    min_size=2,
    max_size=4,
)


def counts(parts: list[SourcePart], seed: int, epoch: int) -> np.ndarray:
    """How many images each source gives to an epoch."""
    return np.bincount(source_of_images(parts)[epoch_order(parts, seed, epoch)], minlength=len(parts))


def drawn_before(weights: list[float], seed: int, epoch: int) -> np.ndarray:
    """The draws of the time when every image had a lot of its own: studies of then are to go on alike."""
    rng = np.random.default_rng((seed, epoch, 0x0DE))
    weight = np.asarray(weights, dtype=np.float64)
    times = np.floor(weight).astype(np.int64)
    times += rng.random(len(weight)) < weight - times
    if not times.any():
        times[weight.argmax()] = 1
    return rng.permutation(np.repeat(np.arange(len(weight)), times))


@given(n=st.integers(1, 60), seed=SEEDS, epoch=EPOCHS)
@settings(max_examples=50)
def test_an_epoch_of_weight_1_is_a_permutation(n: int, seed: int, epoch: int) -> None:
    order = epoch_order([SourcePart("", n)], seed, epoch)
    assert sorted(order.tolist()) == list(range(n))
    np.testing.assert_array_equal(order, epoch_order([SourcePart("", n)], seed, epoch))


def test_the_order_changes_with_seed_and_epoch() -> None:
    parts = [SourcePart("", 30)]
    assert len({tuple(epoch_order(parts, seed, epoch)) for seed in range(4) for epoch in range(1, 5)}) == 16


@given(n=st.integers(1, 40), weight=st.floats(0.02, 3.0), seed=SEEDS, epoch=EPOCHS)
@settings(max_examples=50)
def test_one_source_is_drawn_as_it_always_was(n: int, weight: float, seed: int, epoch: int) -> None:
    order = epoch_order([SourcePart("", n, weight)], seed, epoch)
    np.testing.assert_array_equal(order, drawn_before([weight] * n, seed, epoch))


@given(sizes=st.lists(st.integers(1, 20), min_size=1, max_size=4), seed=SEEDS, epoch=EPOCHS)
@settings(max_examples=50)
def test_sources_of_whole_weights_are_drawn_as_they_always_were(
    sizes: list[int], seed: int, epoch: int
) -> None:
    for weights in ([1.0] * len(sizes), [1.0 + number % 2 for number in range(len(sizes))]):
        parts = [SourcePart("", n, weight) for n, weight in zip(sizes, weights, strict=True)]
        np.testing.assert_array_equal(
            epoch_order(parts, seed, epoch), drawn_before(np.repeat(weights, sizes).tolist(), seed, epoch)
        )


@given(parts=PARTS, seed=SEEDS, epoch=EPOCHS)
@settings(max_examples=200)
def test_every_epoch_keeps_each_sources_share_within_2_percent(
    parts: list[SourcePart], seed: int, epoch: int
) -> None:
    """Of the epoch's images; below 50 of them a single one is more than that."""
    wanted = np.array([part.n_images * part.weight for part in parts])
    found = counts(parts, seed, epoch)
    if wanted.sum() >= 1:
        assert (np.abs(found - wanted) < 1 + 1e-9).all()
    if wanted.sum() >= 100:
        np.testing.assert_allclose(found / found.sum(), wanted / wanted.sum(), atol=0.02)
    large = wanted >= 50
    np.testing.assert_allclose(found[large], wanted[large], rtol=0.02)


@given(parts=PARTS, seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_shares_add_up_over_epochs_and_each_image_has_its_turn(parts: list[SourcePart], seed: int) -> None:
    n_epochs = 12
    times = np.zeros(sum(part.n_images for part in parts))
    for epoch in range(1, n_epochs + 1):
        times += np.bincount(epoch_order(parts, seed, epoch), minlength=len(times))
    weights = np.repeat([part.weight for part in parts], [part.n_images for part in parts])
    if expected_length(parts) >= 2:  # of less, an epoch without images takes one
        assert (np.abs(times - n_epochs * weights) < 1 + 1e-9).all()
        given = np.bincount(source_of_images(parts), weights=times)
        assert (np.abs(given - [n_epochs * part.n_images * part.weight for part in parts]) < 1).all()


def test_an_image_of_weight_one_half_comes_in_every_second_epoch() -> None:
    parts = [SourcePart("", 10), SourcePart("", 6, 0.5)]
    first, second = (set(epoch_order(parts, 1, epoch)) - set(range(10)) for epoch in (1, 2))
    assert len(first) == len(second) == 3
    assert first | second == set(range(10, 16))


def test_other_seeds_put_the_images_into_other_orders() -> None:
    parts = [SourcePart("", 1), SourcePart("", 30, 0.5)]
    assert set(epoch_order(parts, 1, 1)) != set(epoch_order(parts, 2, 1))


@given(weights=st.lists(st.floats(0.001, 0.2), min_size=1, max_size=5), seed=st.integers(0, 1000))
def test_an_epoch_is_never_empty(weights: list[float], seed: int) -> None:
    order = epoch_order([SourcePart("", 1, weight) for weight in weights], seed, 1)
    assert len(order) >= 1
    assert set(order.tolist()) <= set(range(len(weights)))


@pytest.mark.parametrize(("n", "weight"), [(100, 0.29), (10, 0.7), (50, 1.1)])
def test_weights_that_floats_cannot_hold_do_not_drift(n: int, weight: float) -> None:
    """100 * 0.29 is a little less than 29."""
    parts = [SourcePart("", 7), SourcePart("", n, weight)]
    assert {int(counts(parts, 0, epoch)[1]) for epoch in range(1, 400)} == {round(n * weight)}


# --- an epoch that is cut short ----------------------------------------------------------------------------


@given(n=st.integers(1, 60), weight=st.floats(0.02, 3.0), limit=st.integers(1, 99), seed=SEEDS, epoch=EPOCHS)
@settings(max_examples=50)
def test_a_cut_epoch_of_one_source_is_the_beginning_of_a_whole_one(
    n: int, weight: float, limit: int, seed: int, epoch: int
) -> None:
    parts = [SourcePart("", n, weight)]
    whole = epoch_order(parts, seed, epoch)
    np.testing.assert_array_equal(epoch_order(parts, seed, epoch, limit), whole[:limit])


@given(parts=PARTS, limit=st.integers(1, 400), seed=SEEDS, epoch=EPOCHS)
@settings(max_examples=200)
def test_a_cut_epoch_keeps_the_shares_of_a_whole_one(
    parts: list[SourcePart], limit: int, seed: int, epoch: int
) -> None:
    whole, cut = epoch_order(parts, seed, epoch), epoch_order(parts, seed, epoch, limit)
    assert len(cut) == min(limit, len(whole))
    source = source_of_images(parts)
    of_whole, of_cut = (np.bincount(source[order], minlength=len(parts)) for order in (whole, cut))
    assert (np.abs(of_cut - len(cut) / len(whole) * of_whole) < 1).all()
    assert (np.bincount(cut, minlength=len(source)) <= np.bincount(whole, minlength=len(source))).all()


def test_a_cut_epoch_is_shuffled() -> None:
    parts = [SourcePart("", 50), SourcePart("", 50)]
    first_half = source_of_images(parts)[epoch_order(parts, 0, 1, 60)[:30]]
    assert 5 < first_half.sum() < 25


# --- names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ([(".", "labels.json")], ["."]),
        ([("/", "labels.json")], ["/"]),
        ([("data/train/images", "a.json"), ("more/images", "b.json")], ["train/images", "more/images"]),
        ([("x/img", "l/a.json"), ("x/img", "l/b.json")], ["img (a.json)", "img (b.json)"]),
        ([("x/img", "a/l.json"), ("x/img", "b/l.json")], ["img (a/l.json)", "img (b/l.json)"]),
        ([("x/img", "l.json"), ("y/img", "l.json")], ["x/img", "y/img"]),
        ([("x/img", "l.json"), ("x/img", "l.json")], ["img (l.json) 1", "img (l.json) 2"]),
        ([(".", "a.json"), ("img", "b.json")], [".", "img"]),
    ],
)
def test_sources_have_names_of_their_own(sources: list[tuple[str, str]], expected: list[str]) -> None:
    configs = [SourceConfig(images=images, labels=labels) for images, labels in sources]
    assert [part.name for part in source_parts(configs, [1] * len(configs))] == expected
