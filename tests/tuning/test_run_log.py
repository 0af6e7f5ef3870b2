"""A log while it is written: everything once, in order, to its end."""

from __future__ import annotations

import threading
import time

import pytest

from optdet.tuning.run_log import LogReader, read_log


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "output.log"
    path.write_text("one\ntwo\nthree\n")
    return path


@pytest.mark.parametrize(
    ("n_lines", "expected"),
    [(None, "one\ntwo\nthree\n"), (1, "three\n"), (2, "two\nthree\n"), (9, "one\ntwo\nthree\n")],
)
def test_the_last_lines_of_what_is_there(log, n_lines, expected):
    assert "".join(read_log(log, n_lines, lambda: False)) == expected


def test_a_last_line_without_an_end_counts(log):
    with log.open("a") as file:
        file.write("fo")
    assert "".join(read_log(log, 2, lambda: False)) == "three\nfo"


def test_following_hands_on_what_comes_until_the_end(log):
    works = threading.Event()

    def write():
        for number in range(3):
            time.sleep(0.05)
            with log.open("a") as file:
                file.write(f"{number}\n")
        with log.open("a") as file:
            file.write("the last words\n")
        works.set()

    writer = threading.Thread(target=write)
    writer.start()
    followed = "".join(read_log(log, 1, lambda: not works.is_set()))
    writer.join()
    assert followed == "three\n0\n1\n2\nthe last words\n"


def test_half_a_character_waits_for_its_rest_and_what_is_none_does_no_harm(log):
    reader = LogReader(log)
    reader.new_text()
    for written, expected in ((b"\xc3", ""), (b"\xa4", "ä"), (b"\xff", "\ufffd"), (b"", "")):
        with log.open("ab") as file:
            file.write(written)
        assert reader.new_text() == expected
