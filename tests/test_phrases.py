"""Counts and times in words."""

from __future__ import annotations

import pytest

from optdet.phrases import counted, numbers, parse_duration, short_names


def test_one_is_singular():
    assert [counted(n, "trial") for n in (0, 1, 2)] == ["0 trials", "1 trial", "2 trials"]


def test_numbers_in_a_row_are_a_range():
    assert numbers("trial", [3]) == "trial 3"
    assert numbers("trial", [4, 0, 1, 7, 2]) == "trials 0-2, 4, 7"
    assert numbers("trial", range(0, 100, 2)) == "trials 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, ..., 98"


def test_dotted_names_are_as_short_as_tells_them_apart():
    assert short_names(["optimizer.lr", "train.epochs"]) == {"optimizer.lr": "lr", "train.epochs": "epochs"}
    given = ["a.optimizer.lr", "b.optimizer.lr", "scheduler.name", "optimizer.name", "name", "lone"]
    short = ["a.optimizer.lr", "b.optimizer.lr", "scheduler.name", "optimizer.name", "name", "lone"]
    assert list(short_names(given).values()) == short
    assert short_names([]) == {}


@pytest.mark.parametrize(
    ("text", "seconds"), [("3600", 3600), ("600s", 600), ("1.5m", 90), (" 8h ", 28800), ("0", 0)]
)
def test_a_duration(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-1s", "1d", "1h30m", "eight hours", "1e3"])
def test_what_is_no_duration(text):
    assert parse_duration(text) is None
