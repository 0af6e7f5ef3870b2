"""Threads over images: results in order, and few items in hand."""

from __future__ import annotations

import threading

import pytest

from optdet.evaluation.parallel import mapped


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_come_in_the_order_of_the_items(workers):
    second_is_done = threading.Event()

    def square(number):
        if number == 0 and workers > 1:  # the first one ends after the second
            assert second_is_done.wait(20)
        if number == 1:
            second_is_done.set()
        return number**2

    assert list(mapped(square, range(40), workers=workers)) == [number**2 for number in range(40)]
    assert list(mapped(square, (), workers=workers)) == []


@pytest.mark.parametrize("workers", [1, 3])
def test_items_are_taken_as_results_are_asked_for(workers):
    taken = []
    items = (taken.append(number) or number for number in range(1000))
    results = mapped(lambda number: number, items, workers=workers)
    assert [next(results) for _ in range(10)] == list(range(10))
    assert 10 <= len(taken) <= 10 + 2 * workers + 1
    results.close()


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_of_an_item_ends_the_work(workers):
    done = []

    def fail_at_five(number):
        done.append(number)
        if number == 5:
            raise ValueError("five")

    with pytest.raises(ValueError, match="five"):
        list(mapped(fail_at_five, range(1000), workers=workers))
    assert len(done) < 100
