"""What a user-facing error says."""

from __future__ import annotations

import copy
import pickle

import pytest

from optdet.errors import OptdetError, TrialFailed


@pytest.mark.parametrize(
    ("where", "fix", "text"),
    [
        (None, None, "broken"),
        ("a.yaml:3", None, "a.yaml:3: broken"),
        (None, "mend it", "broken; mend it"),
        ("a.yaml:3", "mend it", "a.yaml:3: broken; mend it"),
    ],
)
def test_one_line(where, fix, text):
    error = OptdetError("broken", where=where, fix=fix)
    assert str(error) == text
    assert (error.what, error.where, error.fix) == ("broken", where, fix)


def test_what_stands_in_a_file_cannot_make_the_line_long_or_two_or_move_the_cursor():
    error = OptdetError("bad\nname \x1b[2J \ud800 \u2028", where="x" * 5000 + "end", fix="한글 é 🧾")
    assert str(error).endswith("end: bad\\nname \\x1b[2J \\ud800 \\u2028; 한글 é 🧾")
    assert len(str(error)) < 500
    str(error).encode()


def test_it_travels_between_processes_whole():
    error = OptdetError("broken", where="a.yaml:3", fix="mend it")
    for copied in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(copied) is OptdetError
        assert str(copied) == str(error)
        assert (copied.what, copied.where, copied.fix) == ("broken", "a.yaml:3", "mend it")


def test_a_failed_trial_has_a_reason():
    assert TrialFailed("loss is NaN").reason == str(TrialFailed("loss is NaN")) == "loss is NaN"
