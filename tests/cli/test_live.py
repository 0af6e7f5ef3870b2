"""The live view on a real pseudo-terminal: what scrolls stays whole, and nothing of the view remains."""

from __future__ import annotations

import io
import re

import pytest
from pseudo_terminal import Screen, run_script
from rich.console import Console
from rich.control import Control

from optdet.cli.live import LiveView, _Frame
from optdet.cli.text_table import wrapped
from optdet.store.study_index import Standing
from optdet.tuning.run_watch import RunWatch

WORKER = """
import json, sys, time
number = int(sys.argv[2])
def tell(name, **values):
    sys.stdout.write(json.dumps({name: values}) + "\\n"); sys.stdout.flush()
tell("trial_started", number=number, params={"optimizer.lr": 0.01}, epochs=9, taken_over=False)
for step in range(60):
    tell("batch", done=step, total=60, loss=2.5)
    sys.stderr.write(f"step {step} of {number} " + "x" * 90 + " end\\n"); sys.stderr.flush()
    time.sleep(0.01)
"""
CREW = f"""
import os, sys
from optdet.cli.live import shown_workers
from optdet.store.study_index import Standing
from optdet.tuning.run_watch import RunWatch
from optdet.tuning.workers import run_workers
look = lambda: Standing({{"COMPLETE": 3, "PRUNED": 2, "FAIL": 1}}, 0.9612, 3)
run = RunWatch("receipts", 20, look, names_best=True, n_workers=4)
with shown_workers(run) as (say, hear):
    run_workers([sys.executable, "-c", {WORKER!r}], [dict(os.environ)] * 4, say, hear)
print("done", file=sys.stderr)
"""

ONE = """
import sys, time
from optdet.cli.live import shown_progress
from optdet.store.study_index import Standing
from optdet.tuning.progress import TrialOutcome
from optdet.tuning.run_watch import RunWatch
run = RunWatch("receipts", 20, lambda: Standing({"COMPLETE": 5}, 0.9612, 3), names_best=True)
with shown_progress(run) as progress:
    progress.trial_started(3, {"optimizer.name": "adam", "data.name": chr(0xAC00)}, 9, taken_over=False)
    for step in range(4):
        progress.batch(step, 9, 2.5)
        time.sleep(0.1)
    progress.trial_finished(TrialOutcome(3, "complete", 0.9, 1.0), 6, 20)
    if not sys.stdout.isatty():
        print("a result", flush=True)
"""


def on_screen(script, *words, columns=80, **more):
    """What a script wrote that ended well, and the screen that it left."""
    written, code = run_script(script, *words, columns=columns, **more)
    assert code == 0, written
    screen = Screen(columns)
    screen.write(written)
    return written, screen


def frames(written):
    """What was drawn below the lines at each refresh, styles left out."""
    plain = re.sub(r"\x1b\[[\d;]*m", "", written)
    return re.findall(r"receipts[^\x1b]*", plain)


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.thin(1)
def test_four_workers_lines_stay_whole_above_the_view(columns):
    written, screen = on_screen(CREW, columns=columns)
    *lines, last = screen.lines()
    assert last == "done"  # of the view nothing is left
    said = [
        f"[{worker}] step {step} of {worker} {'x' * 90} end" for worker in range(1, 5) for step in range(60)
    ]
    assert sorted(lines) == sorted(row for line in said for row in wrapped(line, columns - 1))
    assert screen.cursor_is_shown
    assert written.startswith("\x1b[?25l\x1b[?25h")  # and while it works: a kill would leave it hidden
    shown = frames(written)
    assert len(shown) > 2
    assert all(len(row) < columns for frame in shown for row in frame.splitlines())
    assert any("[4] trial 4  epoch 1/9" in frame for frame in shown)
    assert "receipts 5 of 20 finished (3 complete, 2 pruned, 1 failed)" in " ".join(shown[-1].split())


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TERM": "dumb"}, r"[^\x1b]*"),  # plain lines
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, r"[\x00-\x7f]*"),
        ({"NO_COLOR": "1"}, r"(?!.*\x1b\[[\d;]*3\d).*"),  # bold, but no colours
    ],
    ids=["dumb", "ASCII", "no colour"],
)
@pytest.mark.thin(2)
def test_a_terminal_of_less(environ, expected):
    written, screen = on_screen(ONE, **environ)
    assert re.fullmatch(expected, written, re.DOTALL)
    lines = screen.lines()
    assert lines[0] == "trial 3: optimizer.name adam, data.name " + (
        "가" if "LC_ALL" not in environ else r"\uac00"
    )
    assert lines[-1] == "trial 3 complete 0.9000 (1 s; 6 of 20 finished, best of this run 0.9000)"
    assert ("epoch 1/9" in written) == ("TERM" not in environ)


EPOCH = """
from optdet.cli.live import LiveView
from optdet.store.study_index import Standing
from optdet.tuning.run_watch import RunWatch
with LiveView(RunWatch("receipts", 20, lambda: Standing({}, None, None), names_best=True)) as view:
    view.say("trial 0 epoch 1/2: loss 7.012, H-mean 0.2131 (thresh 0.22, box_thresh 0.25, unclip 1.5)")
"""


@pytest.mark.parametrize("columns", [40, 60])
@pytest.mark.thin(1)
def test_lines_are_wrapped_at_words(columns):
    _, screen = on_screen(EPOCH, columns=columns)
    assert not screen.wrapped  # by the terminal, which breaks words
    epoch = {
        40: [
            "trial 0 epoch 1/2: loss 7.012, H-mean",
            "  0.2131 (thresh 0.22, box_thresh 0.25,",
            "  unclip 1.5)",
        ],
        60: ["trial 0 epoch 1/2: loss 7.012, H-mean 0.2131 (thresh 0.22,", "  box_thresh 0.25, unclip 1.5)"],
    }
    assert screen.lines() == epoch[columns]


@pytest.mark.parametrize("size", [(1, 1), (2, 24), (5, 2), (500, 1)])
@pytest.mark.thin(1)
def test_a_terminal_of_no_size_ends_nothing(size):
    columns, rows = size
    written, code = run_script(ONE, columns=columns, rows=rows)
    assert (code, "Traceback" in written) == (0, False)


def test_results_on_stdout_are_not_drawn_over(tmp_path):
    with (tmp_path / "out").open("wb") as out:
        written, code = run_script(ONE, stdout=out.fileno())
    assert code == 0
    assert (tmp_path / "out").read_text() == "a result\n"
    assert "a result" not in written


def test_a_terminal_that_went_away_ends_nothing(monkeypatch):
    class Gone(io.StringIO):
        def isatty(self):
            return True

        def write(self, text):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr("sys.stderr", Gone())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    with LiveView(watched()) as view:
        view.say("a line")


def watched():
    return RunWatch("receipts", 20, lambda: Standing({}, None, None), names_best=True)


def test_of_a_view_that_the_terminal_has_wrapped_every_row_is_erased():
    console = Console(file=io.StringIO(), force_terminal=True, width=40, _environ={})
    frame = _Frame(watched(), console)
    assert frame.process_renderables([]) == []
    frame._drawn = ["x" * 79, "y" * 40, "z" * 41]
    [control] = frame.process_renderables([])
    assert isinstance(control, Control)
    assert str(control) == "\x1b[2K\x1b[1A" * 2  # 79 and 41 columns are two rows each


def test_a_state_that_cannot_be_drawn_leaves_the_last_view(monkeypatch):
    console = Console(file=io.StringIO(), force_terminal=True, width=80, _environ={})
    frame = _Frame(watched(), console)
    before = [str(each) for each in frame.__rich_console__(console, console.options)]
    monkeypatch.setattr("optdet.cli.live.view_lines", lambda *_, **__: 1 / 0)
    assert [str(each) for each in frame.__rich_console__(console, console.options)] == before
    assert before[0].startswith("receipts  0 of 20 finished")


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "3"])
def test_a_real_run(workers, tiny, optdet, monkeypatch):
    # Enough images that an epoch lasts longer than it takes the view to be drawn again.
    assert optdet("study", "create", "studies/tiny.yaml", "data.synthetic.train=48").code == 0
    monkeypatch.chdir(tiny)
    script = "from optdet.cli.app import main; main()"
    written, screen = on_screen(
        script, "study", "run", "tiny", "--trials", "6", "--workers", workers, columns=60, NO_COLOR="1"
    )
    lines = screen.lines()
    assert sum(" complete 0." in line or " pruned 0." in line for line in lines) == 6
    assert all(sum(f"trial {number} epoch 1/2" in line for line in lines) == 1 for number in range(6))
    assert "6 of 6 trials" in " ".join(lines)
    shown = re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", written)
    assert re.search(r"tiny  [1-5] of 6 finished", shown)
    assert re.search(r"best 0\.\d{4} \(trial \d\)", shown)
    assert "training" in shown or workers == "3"
    assert not any("of 6 finished  (" in line for line in lines)  # of the view nothing is left
