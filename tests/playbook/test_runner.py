"""Which step comes next: gates, leaderboards and --until, with stages that do nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from optdet.playbook import runner
from optdet.playbook.context import Context
from optdet.playbook.graph import check_stages_named, load_playbook
from optdet.playbook.opened import open_playbook, status
from optdet.playbook.runner import is_running, run_playbook
from optdet.playbook.score import Board

PLAYBOOK = """
name: mine
target: 0.9
start: {source: base, config: config.yaml}
test_images: .
stages:
  first:
    do: train
    config: config.yaml
    gate: [{at_least: 0.5, choose: [second, third]}, {below: 0.5, go: done}]
  second: {do: train, config: config.yaml, next: mix}
  third: {do: train, config: config.yaml, next: mix}
  mix: {do: train, config: config.yaml, next: done}
  done: {do: submit}
"""


class Silent:
    def say(self, line):
        pass


@pytest.fixture
def opened(tmp_path, monkeypatch, result_of):
    """The playbook with overrides; every stage gives a score by its name and one file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(PLAYBOOK)
    (tmp_path / "config.yaml").write_text("data: {synthetic: {train: 2, val: 2}}\n")
    scores = {"first": 0.8, "second": 0.82, "third": 0.83, "mix": 0.9}

    def stage(context, name):
        return result_of(scores.get(name, context.best().result.hmean), files=(f"{name}.csv",))

    monkeypatch.setattr(runner, "RUN", dict.fromkeys(runner.RUN, stage))
    monkeypatch.setattr(runner, "run_origin", lambda context, name, origin: result_of(0.7))

    def make(*overrides) -> Context:
        playbook = load_playbook(tmp_path / "mine.yaml", overrides)
        return open_playbook(playbook, tmp_path, Silent(), "cpu", str(tmp_path / "optdet.db"), None)

    return make


def stages(ended):
    return [step.stage for step in ended.steps]


def test_until_stops_there_and_stays(opened):
    assert stages(run_playbook(opened(), until="first")) == ["start", "first"]
    assert stages(run_playbook(opened(), until="second")) == ["start", "first", "second"]

    again = run_playbook(opened(), until="first")
    assert (again.reason, stages(again)) == ("until", ["start", "first", "second"])
    assert stages(run_playbook(opened())) == ["start", "first", "second", "mix", "done"]


def test_a_board_is_waited_for_by_gates_and_by_a_stage_that_asks_for_the_best(opened):
    def run(**said):
        board = Board(lambda file: said.get(Path(file.path).stem))
        return run_playbook(replace(opened("wait=leaderboard"), reader=board))

    assert run().to_submit == ("first.csv",)
    waiting = run(first=0.8)  # second has no gate, and mix after it asks for nothing
    assert (waiting.reason, waiting.to_submit) == ("waiting", ("mix.csv",))
    ended = run(first=0.8, mix=0.91)
    assert ended.reason == "end"
    assert ended.steps[-1].result.hmean == 0.9  # that of mix


def test_what_gates_read_cannot_change_on_the_way(opened):
    run_playbook(opened(), until="first")

    with pytest.raises(Exception, match="start was run with wait none, the file now has leaderboard"):
        run_playbook(opened("wait=leaderboard"))


def test_a_choice_can_be_made_anew_until_it_is_followed(opened):
    first = run_playbook(opened(), until="first")
    assert first.steps[-1].decision.go == "second"

    assert stages(run_playbook(opened(), until="third", chosen=["third"])) == ["start", "first", "third"]
    kept = run_playbook(opened(), until="third", chosen=["second"])
    assert kept.steps[1].decision.go == "third"


def test_a_choice_that_no_gate_offers_is_refused(opened):
    playbook = opened().playbook
    check_stages_named(playbook, "mix", ["third"])
    with pytest.raises(Exception, match="no gate offers 'mix' as a choice; gates offer second, third"):
        check_stages_named(playbook, None, ["mix"])


def test_status_says_who_is_at_work(opened, monkeypatch):
    def seen(*overrides):
        context = opened(*overrides)
        return status(context.playbook, context.storage, None)

    before = seen("wait=leaderboard")
    assert before.reader.name == "leaderboard"
    assert not before.steps

    def stopped(context, name):
        shown = seen()
        assert shown.is_running
        assert shown.state(shown.steps[-1]) == "at work"
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "RUN", dict.fromkeys(runner.RUN, stopped))
    context = opened()
    with pytest.raises(KeyboardInterrupt):
        run_playbook(context)
    assert not is_running(context.own_dir())
    after = seen()
    assert after.state(after.steps[-1]) == "cut off"
