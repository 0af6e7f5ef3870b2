"""A worker's trials as lines of JSON, and back."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any
from unittest.mock import create_autospec

import pytest

from optdet.structures import Thresholds
from optdet.training.history import EpochRecord, SourceLoss
from optdet.tuning import progress_events
from optdet.tuning.progress import Progress, Together, TrialOutcome
from optdet.tuning.progress_events import EventWriter, replay

RECORD = EpochRecord(3, 2.5, 1.0, 1.0, 0.5, 0.001, 0.9, Thresholds(0.3, 0.6, 1.5, 1000, False, 3), 10.0, 20.0)
CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "preparing": ((5, 5), {}),
    "trial_started": (
        (7, {"optimizer.lr": 0.1, "optimizer.name": "adam", "x": None}, 4),
        {"taken_over": True},
    ),
    "resumed": ((RECORD,), {}),
    "batch": ((2, 2, 3.5), {}),
    "epoch": ((replace(RECORD, sources=(SourceLoss("가게/images", 4, None),)),), {}),
    "tuning": ((60, 60), {}),
    "trial_finished": ((TrialOutcome(7, "failed", None, 3.5, "a NaN\nloss"), 6, 20), {}),
}


class Heard:
    """Remembers every call by name, arguments in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[Any]]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: self.calls.append((name, [*args, *kwargs.values()]))


def lines_of(tell: Any) -> list[str]:
    reading, writing = os.pipe()
    tell(EventWriter(writing))
    os.close(writing)
    with open(reading, encoding="utf-8") as stream:
        return stream.read().splitlines()


@pytest.mark.parametrize("name", CALLS)
def test_a_call_comes_back_as_it_was(name: str) -> None:
    args, kwargs = CALLS[name]
    [line] = lines_of(lambda writer: getattr(writer, name)(*args, **kwargs))
    heard = Heard()
    replay(line, heard)  # type: ignore[arg-type]
    assert heard.calls == [(name, [*args, *kwargs.values()])]


def test_everything_but_what_people_read_is_told() -> None:
    told = {name for name in vars(Progress) if not name.startswith("_")} - {"say", "begun"}
    assert set(CALLS) == told
    assert lines_of(lambda writer: writer.say("trial 3 epoch 1/4")) == []


def test_batches_are_told_a_few_times_a_second_and_at_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress_events.time, "monotonic", lambda: now[0])

    def tell(writer: EventWriter) -> None:
        for done in range(1, 101):
            now[0] += 0.01
            writer.batch(done, 100, 1.0)

    assert len(lines_of(tell)) == 5


@pytest.mark.parametrize(
    "line",
    ["", "Downloading 3%", "3", "[]", "{}", '{"close": {}}', '{"batch": {"done": 1}}', '{"epoch": {}}'],
)
def test_what_is_no_event_is_passed_over(line: str) -> None:
    heard = create_autospec(Progress, instance=True)  # takes the arguments of the real one alone
    replay(line, heard)
    assert heard.method_calls == []


def test_a_reader_that_has_gone_is_no_trouble() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    EventWriter(writing).tuning(1, 1)
    os.close(writing)


@pytest.mark.parametrize("name", [*CALLS, "say", "begun"])
def test_several_hear_the_same(name: str) -> None:
    args, kwargs = {"say": (("a line",), {}), "begun": ((), {})}.get(name) or CALLS[name]
    listeners = [Heard(), Heard()]
    getattr(Together(*listeners), name)(*args, **kwargs)  # type: ignore[arg-type]
    assert [each.calls for each in listeners] == [[(name, [*args, *kwargs.values()])]] * 2
