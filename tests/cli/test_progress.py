"""What is said off a terminal while something takes long."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from optdet.cli import progress
from optdet.cli.live import shown_workers
from optdet.cli.progress import CountedLines, CountedStages, PlainProgress, image_bar
from optdet.store.study_index import Standing
from optdet.tuning.run_watch import RunWatch

LINES = """
import sys
from optdet.cli.progress import PlainProgress, write_line
say = PlainProgress().say if sys.argv[1] != "0" else write_line
for number in range(300):
    say(f"{sys.argv[1]} {number} " + "x" * 3000 + " end")
"""


@pytest.mark.parametrize("unbuffered", ["1", ""])
@pytest.mark.thin(1)
def test_lines_of_four_processes_in_one_file_are_whole(unbuffered, tmp_path):
    environ = {**os.environ, "PYTHONUNBUFFERED": unbuffered, "PYTHONPATH": os.pathsep.join(sys.path)}
    with (tmp_path / "log").open("wb") as log:
        workers = [
            subprocess.Popen([sys.executable, "-c", LINES, str(number)], stderr=log, env=environ)
            for number in range(4)
        ]
        assert [worker.wait() for worker in workers] == [0] * 4
    expected = {f"{worker} {number} {'x' * 3000} end" for worker in range(4) for number in range(300)}
    lines = (tmp_path / "log").read_text().splitlines()
    assert (len(lines), set(lines)) == (1200, expected)


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full"])
def test_nobody_has_to_listen(closed):
    script = "from optdet.cli import app, progress; app._open_closed_streams(); progress.write_line('x')"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    line = f'"{sys.executable}" -c "{script}" {closed}'
    assert subprocess.run(["sh", "-c", line], env=environ, check=False).returncode in (0, 120)


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass as a test says."""
    times = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: times[0])
    return lambda seconds: times.append(times.pop() + seconds)


def test_a_short_stage_is_one_line_at_its_end(clock, capsys):
    with image_bar("reading maps") as on_image:
        for done in range(1, 61):
            clock(0.01)
            on_image(done, 60)
    assert capsys.readouterr().err == "reading maps: 60 of 60\n"


def test_a_long_one_is_a_line_every_few_seconds(clock, capsys):
    with image_bar("tuning") as on_image:
        for _ in range(2):  # a lattice of quads, then one of polygons
            for done in range(1, 13):
                clock(1)
                on_image(done, 12)
    said = capsys.readouterr().err.splitlines()
    assert said == [f"tuning: {done} of 12" for done in (7, 12)] * 2


def test_a_trial_s_tuning_is_told_where_it_takes_long_alone(clock, capsys):
    stages = CountedStages()
    for done in range(1, 61):
        stages.tuning(done, 60)
    assert capsys.readouterr().err == ""
    stages.trial_started(3, {}, 9, taken_over=False)
    for done in range(1, 61):
        clock(1)
        stages.tuning(done, 60)
    said = capsys.readouterr().err.splitlines()
    assert said == [f"trial 3: tuning thresholds: {done} of 60" for done in (7, 23)]


def test_a_worker_s_own_lines_have_no_counts_its_starter_says_them(clock, capsys):
    own = PlainProgress()
    run = RunWatch("s", 4, lambda: Standing({}, None, None), names_best=True, n_workers=2)
    with shown_workers(run) as (say, hear):
        say("[2] a line of a worker")
        hear(2, json.dumps({"trial_started": {"number": 3, "params": {}, "epochs": 9, "taken_over": False}}))
        for done in range(1, 13):
            clock(6)
            for stage in ("preparing", "tuning"):
                hear(2, json.dumps({stage: {"done": done, "total": 12}}))
                getattr(own, stage)(done, 12)
        hear(2, None)
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if "preparing" not in line] == [
        "[2] a line of a worker",
        *(f"[2] trial 3: tuning thresholds: {done} of 12" for done in (2, 5)),
    ]
    assert said[-1] == "[2] preparing images: 12 of 12"


def test_a_count_whose_beginning_was_not_heard_waits_too(clock, capsys):
    stages = CountedStages()
    clock(60)
    stages.preparing(5, 60)
    assert capsys.readouterr().err == ""


def test_each_round_has_its_own_time(clock):
    said = []
    lines = CountedLines(said.append, ends=False)
    for _ in range(4):
        clock(4)
        lines.count("tuning", 1, 2)
        clock(4)
        lines.count("tuning", 2, 2)
    assert said == []
