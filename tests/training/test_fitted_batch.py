"""The largest batch that a card holds, on cards whose memory is known."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from optdet.config import Config
from optdet.training.fitted_batch import FittedBatch, fitted_batch, largest_batch, with_batch

CPU = torch.device("cpu")


class Card:
    """A step of n images holds ``model`` bytes and ``image`` for each, and more than ``room`` is an error."""

    def __init__(self, model: int, image: int, room: int) -> None:
        self.model, self.image, self.room = model, image, room
        self.asked: list[int] = []

    def __call__(self, n: int) -> int | None:
        self.asked.append(n)
        held = self.model + self.image * n
        return None if held > self.room else held


@given(st.integers(1, 500), st.integers(1, 90), st.integers(1, 3000), st.integers(1, 200))
def test_the_largest_batch_is_found(model: int, image: int, limit: int, n_max: int) -> None:
    card = Card(model, image, room=limit + 200)
    batch_size, peak = largest_batch(card, limit, n_max)
    expected = max(0, min(n_max, (limit - model) // image))
    assert batch_size == expected
    assert peak == (model + image * expected if expected else 0)
    assert len(card.asked) == len(set(card.asked))
    assert len(card.asked) <= 5  # memory in proportion to images: the line finds it


def test_memory_out_of_all_proportion_takes_some_more_steps() -> None:
    asked = []

    def peak_of(n: int) -> int | None:
        asked.append(n)
        return n * n if n * n < 5000 else None

    assert largest_batch(peak_of, 5000, 1000) == (70, 4900)
    assert len(asked) <= 14


def test_no_image_fits() -> None:
    assert largest_batch(Card(100, 10, 50), 50, 8) == (0, 0)


@given(st.integers(1, 500), st.integers(1, 90), st.integers(1, 3000), st.integers(2, 200))
def test_a_network_that_needs_two_images_is_never_tried_with_one(
    model: int, image: int, limit: int, n_max: int
) -> None:
    card = Card(model, image, room=limit + 200)
    batch_size, _ = largest_batch(card, limit, n_max, n_min=2)
    expected = min(n_max, (limit - model) // image)
    assert batch_size == (expected if expected >= 2 else 0)
    assert min(card.asked) == 2


def test_on_the_cpu_auto_is_the_default(config: Config) -> None:
    fitted = fitted_batch(config, CPU, 100)
    assert fitted == FittedBatch(Config().train.images_a_step)
    assert fitted.in_words() == "8 images a batch: on the CPU `auto` is the default"
    assert fitted_batch(config, CPU, 3).batch_size == 3


def test_a_run_needs_a_number() -> None:
    config = Config.model_validate({"train": {"batch_size": "auto"}})
    with pytest.raises(ValueError, match="a run begins with the number that was fitted"):
        _ = config.train.images_a_step
    assert with_batch(config, 12).train.images_a_step == 12


@pytest.mark.gpu
def test_a_real_card_holds_what_was_fitted_and_not_much_more(config: Config) -> None:
    device = torch.device("cuda", 0)
    large = Config.model_validate({**config.model_dump(), "data": {**config.data.model_dump(), "size": 1024}})
    fitted = fitted_batch(large, device, 4096)
    assert fitted.peak_bytes is not None
    assert fitted.limit_bytes is not None
    assert 0.7 * fitted.limit_bytes < fitted.peak_bytes <= fitted.limit_bytes
