"""Counts and times in words."""

from __future__ import annotations

import pytest

from optdet.phrases import counted, parse_duration


def test_one_is_singular():
    assert [counted(n, "trial") for n in (0, 1, 2)] == ["0 trials", "1 trial", "2 trials"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("3600", 3600), ("600s", 600), ("1.5m", 90), (" 8h ", 28800), ("0", 0)]
)
def test_a_duration(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-1s", "1d", "1h30m", "eight hours", "1e3"])
def test_what_is_no_duration(text):
    assert parse_duration(text) is None
