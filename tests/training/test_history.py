"""What follows from the epochs so far."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optdet.structures import Thresholds
from optdet.training.history import EpochRecord, SourceLoss, best_epoch, by_source, stops_early

THRESHOLDS = Thresholds(0.3, 0.6, 1.5, 1000, False, 3.0)


def history(*hmeans: float) -> list[EpochRecord]:
    return [
        EpochRecord(number, 3.0, 0.4, 0.1, 0.9, 1e-3, hmean, THRESHOLDS, 2.5, 8.0)
        for number, hmean in enumerate(hmeans, start=1)
    ]


@pytest.mark.parametrize(
    ("hmeans", "best"),
    [((), 0), ((0.0,), 1), ((0.1, 0.3, 0.2), 2), ((0.3, 0.3, 0.3), 1), ((0.1, 0.4, 0.4), 2), ((0.0, 0.0), 1)],
)
def test_the_best_epoch_is_the_first_of_equals(hmeans: tuple[float, ...], best: int) -> None:
    assert best_epoch(history(*hmeans)) == best


@pytest.mark.parametrize(
    ("hmeans", "patience", "stops"),
    [
        ((), 1, False),
        ((0.5,), 1, False),
        ((0.5, 0.4), 1, True),
        ((0.5, 0.5), 1, True),
        ((0.5, 0.4), 2, False),
        ((0.5, 0.4, 0.5), 2, True),
        ((0.5, 0.4, 0.6), 2, False),
        ((0.5, 0.1, 0.1, 0.1), 0, False),
        ((0.0, 0.0, 0.0), 2, True),
    ],
)
def test_when_training_stops(hmeans: tuple[float, ...], patience: int, stops: bool) -> None:
    assert stops_early(history(*hmeans), patience) is stops


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(1, 6))
def test_a_run_that_stops_has_its_best_epoch_exactly_patience_ago(hmeans: list[float], patience: int) -> None:
    records = history(*hmeans)
    for length in range(1, len(records) + 1):
        if stops_early(records[:length], patience):
            assert length - 1 - hmeans.index(max(hmeans[:length])) == patience
            return
    assert len(records) - 1 - hmeans.index(max(hmeans)) < patience


def test_a_record_as_plain_values_and_back() -> None:
    (record,) = history(0.25)
    values = record.as_dict()
    assert values["thresholds"]["unclip_ratio"] == 1.5
    assert EpochRecord.from_dict(values) == record
    several = replace(record, sources=(SourceLoss("one", 4, 2.5), SourceLoss("two", 0, None)))
    assert EpochRecord.from_dict(json.loads(json.dumps(several.as_dict()))) == several
    of_before = {name: value for name, value in values.items() if name != "sources"}
    assert EpochRecord.from_dict(of_before) == record
    assert by_source(several.sources) == "one 4 images, loss 2.500; two 0 images"
