"""Tables: nothing is cut off, on a terminal of any width or elsewhere."""

from __future__ import annotations

import io
import re

import pytest
from pseudo_terminal import Screen, run_script
from rich.cells import cell_len

from optdet.cli.tables import how_far
from optdet.cli.text_table import TextTable, flowed, print_line, print_table, wrapped


def table(*rows, columns=("trial", "state", "value", "learning_rate"), **options):
    made = TextTable(columns, **options)
    for row in rows:
        made.add_row(*row)
    return made


def lines(made, width=None):
    return [line for line, _ in made.lines(width)]


ROWS = (("0*", "complete", "0.9612", "0.0003"), ("10", "pruned"))


def test_columns_are_as_wide_as_they_need():
    assert lines(table(*ROWS)) == [
        "trial     state   value  learning_rate",
        "0*     complete  0.9612         0.0003",
        "10       pruned",
    ]
    assert lines(table(*ROWS), 38) == lines(table(*ROWS))
    assert lines(table(("가", "x"), columns=("a", "b"), gap=1)) == ["a  b", "가 x"]
    assert lines(table(("x", "y"), columns=("long", "name"), justify="left")) == ["long  name", "x     y"]


def test_a_table_that_is_too_wide_goes_on_below():
    assert lines(table(*ROWS), 37) == [
        "trial     state   value",
        "0*     complete  0.9612",
        "10       pruned",
        "",
        "trial  learning_rate",
        "0*            0.0003",
        "10",
    ]


def test_a_long_name_stands_above_its_row():
    made = table(("a-name-of-a-study-that-is-long", "12", "0.9612"), columns=("study", "finished", "best"))
    assert lines(made, 40) == [
        "study",
        "  finished    best",
        "a-name-of-a-study-that-is-long",
        "        12  0.9612",
    ]
    assert lines(made, 12)[:3] == ["study", "  finished", "    best"]


@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("width", [1, 8, 20, 40, 79, 200])
def test_every_cell_is_there_whole(width, keyed):
    columns = tuple(f"optimizer.parameter_{number}" for number in range(9))
    made = table(
        *([f"r{row}c{column}" for column in range(9)] for row in range(3)), columns=columns, keyed=keyed
    )
    shown = lines(made, width)
    text = " ".join(shown)
    assert all(
        re.search(rf"(^|\s){re.escape(cell)}($|\s)", text) for row in made.rows for cell in (*row, *columns)
    )
    if width > 50:
        assert max(map(cell_len, shown)) <= width


def test_headings_are_bold_on_a_terminal_and_plain_elsewhere():
    script = (
        "from optdet.cli.text_table import *; made = TextTable(('name', 'number'))\n"
        "made.add_row('[b]x[/b]', ':+1:'); print_table(made)"
    )
    written, _ = run_script(script)
    assert "\x1b[1mname" in written
    screen = Screen(80)
    screen.write(written)
    assert screen.lines() == ["name      number", "[b]x[/b]    :+1:"]
    stream = io.StringIO()
    print_table(table(*ROWS), to=stream)
    assert stream.getvalue() == "\n".join(lines(table(*ROWS))) + "\n"


def test_fields_flow_into_lines():
    assert flowed(["a 1", "b 2", "c 3"], None) == ["a 1, b 2, c 3"]
    assert flowed(["a 1", "b 2", "c 3"], 8) == ["a 1, b 2", "c 3"]
    assert flowed(["a 1", "가 2"], 8) == ["a 1", "가 2"]
    assert flowed([], 8) == []


def test_a_study_of_eight_long_names_fits_80_columns():
    names = [f"optimizer.group_{number}.weight_decay_of_it" for number in range(8)]
    row = {"number": 0, "state": "complete", "value": 0.96, "hmean_crossfit": 0.95, "epochs": 22}
    row |= {"params": dict.fromkeys(names, 0.000123456), "sources": None, "failure": None}
    empty = {key: [] for key in ("workers", "background", "other_data")}
    shown = {
        "study": "s",
        "finished": 1,
        "trials_wanted": 1,
        "best": 0,
        "space": names,
        "trials": [row],
        **empty,
    }
    script = f"from optdet.cli.tables import study_table; study_table({shown!r})"
    written, code = run_script(script)
    assert code == 0, written
    screen = Screen(80)
    screen.write(written)
    assert not screen.wrapped
    assert all(f"group_{number}.weight_decay_of_it" in written for number in range(8))
    assert written.count("0.0001235") == 8


SAID = "mine is full: 20 of 20 trials; for more: optdet study run mine --trials 30"


def test_a_line_is_wrapped_where_it_may_be_and_indented():
    assert wrapped(SAID, 30) == [
        "mine is full: 20 of 20 trials;",
        "  for more: optdet study run",
        "  mine --trials 30",
    ]
    assert wrapped(SAID, 40, "; ") == [
        "mine is full: 20 of 20 trials;",
        "  for more: optdet study run mine --trials 30",  # to be copied
    ]
    assert wrapped(SAID, 100) == [SAID]
    assert wrapped("가나 다라 마", 6) == ["가나", "  다라", "  마"]
    assert wrapped("  log a/b", 5) == ["  log", "  a/b"]
    assert wrapped("", 5) == [""]
    assert wrapped("a b", 0) == ["a", "  b"]


def test_a_line_is_wrapped_on_a_terminal_alone(capsys):
    print_line(SAID, after="; ")
    assert capsys.readouterr().out == f"{SAID}\n"
    script = f"from optdet.cli.text_table import print_line; print_line({SAID!r}, after='; ')"
    written, code = run_script(script, columns=60)
    assert code == 0
    assert written.split("\r\n") == [*wrapped(SAID, 59, "; "), ""]
    assert len(wrapped(SAID, 59, "; ")) == 2


@pytest.mark.parametrize(
    ("finished", "said"), [(2, "mine: 2 of 7"), (7, "mine: 7 of 7"), (9, "mine: 9 of 9")]
)
def test_more_trials_than_were_wanted_are_all_of_them(finished, said):
    shown = {"study": "mine", "finished": finished, "trials_wanted": 7}
    assert how_far(shown) == f"{said} trials finished"
