"""A playbook file is read, or refused with the first thing that is wrong with it."""

from __future__ import annotations

import pytest

from optdet.errors import OptdetError
from optdet.playbook.graph import load_playbook

HEAD = "name: tiny\ntarget: 0.9\nstart: {source: base}\n"
END = "  done: {do: submit}\n"


def read(tmp_path, stages, head=HEAD):
    path = tmp_path / "tiny.yaml"
    path.write_text(f"{head}stages:\n{stages}")
    return load_playbook(path)


def gate_of(branches):
    return f"  first:\n    do: postprocess\n    gate: [{branches}]\n{END}"


def test_a_gate_is_sorted_from_high_to_low(tmp_path):
    playbook = read(tmp_path, gate_of("{below: 0.5, go: done}, {at_least: 0.5, go: done}"))

    assert [branch.interval for branch in playbook.stages["first"].gate] == ["0.5 or more", "below 0.5"]
    assert playbook.first_stage == "first"


@pytest.mark.parametrize(
    ("branches", "message"),
    [
        ("{at_least: 0.5, go: done}", "hole: no branch for H-means below 0.5"),
        ("{below: 0.5, go: done}", "hole: no branch for H-means of 0.5 or more"),
        ("{below: 0.5, go: done}, {at_least: 0.6, go: done}", "hole: no branch for H-means from 0.5 to 0.6"),
        ("{below: 0.6, go: done}, {at_least: 0.5, go: done}", "'below 0.6' and '0.5 or more' overlap"),
        ("{go: done}, {at_least: 0.5, go: done}", "'any H-mean' and '0.5 or more' overlap"),
        ("{go: done, choose: [done, first]}", "either go or choose"),
        ("{choose: [done]}", "two stages or more"),
        ("{choose: [done, done]}", "two stages or more"),
        ("{at_least: 0.5, below: 0.5, go: done}", "0.5 is not below 0.5"),
        ("{go: other}", "go: other needs then"),
        ("{at_least: 1.5, go: done}", "less than or equal to 1"),
    ],
)
def test_a_gate_with_holes_overlaps_or_nonsense_is_refused(tmp_path, branches, message):
    with pytest.raises(OptdetError, match=message):
        read(tmp_path, gate_of(branches))


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("  first: {do: postprocess, next: dnoe}\n" + END, "no stage is named 'dnoe'.*did you mean done"),
        ("  first: {do: postprocess, next: first}\n" + END, "nothing leads to the stage done"),
        ("  first: {do: postprocess, next: first}\n", "no stage is an end"),
        ("  first: {do: postprocess, next: second}\n  second: {do: postprocess}\n" + END, "nothing leads to"),
        ("  other: {do: submit}\n", "no stage can be named 'other'"),
        ("  first: {do: dance}\n", "dance"),
        ("  first: {do: submit, source: reference}\n", "there is no reference"),
        ("  first: {do: ensemble, members: [previous, start]}\n", "name a stage in place of previous"),
        ("  first: {do: folds, settings: lost}\n", "no stage is named 'lost'"),
        (gate_of("{go: other, then: done}"), "no choose offers this stage"),
        ("  first: {do: postprocess, next: done, gate: [{go: done}]}\n" + END, "either next or gate"),
    ],
)
def test_stages_that_lead_nowhere_are_refused(tmp_path, stages, message):
    with pytest.raises(OptdetError, match=message):
        read(tmp_path, stages)


ROUND = """\
  first:
    do: postprocess
    gate: [{below: 0.5, go: again%s}, {at_least: 0.5, go: done}]
  again: {do: postprocess, next: first%s}
"""


def test_a_way_round_needs_a_limit_and_a_limit_a_way_on(tmp_path):
    with pytest.raises(OptdetError, match="first -> again -> first lead round without a limit"):
        read(tmp_path, ROUND % ("", "") + END)
    with pytest.raises(OptdetError, match="again may be entered once only, and nothing says what follows"):
        read(tmp_path, ROUND % ("", ", at_most: 1") + END)

    assert read(tmp_path, ROUND % (", then: done", ", at_most: 1") + END).stages["again"].at_most == 1


def test_a_limited_stage_cannot_be_where_then_or_next_lead(tmp_path):
    with pytest.raises(OptdetError, match="so then cannot lead there"):
        read(tmp_path, ROUND % (", then: again", ", at_most: 1") + END)
    with pytest.raises(OptdetError, match="next has no way past it"):
        read(tmp_path, "  first: {do: postprocess, next: done}\n  done: {do: submit, at_most: 1}\n")


def test_a_choice_is_no_way_round_but_then_can_be(tmp_path):
    choice = """\
  first:
    do: postprocess
    gate: [{choose: [a, b]}]
  a:
    do: postprocess
    gate: [{below: 0.5, go: other, then: %s}, {at_least: 0.5, go: done}]
  b:
    do: postprocess
    gate: [{below: 0.5, go: other, then: done}, {at_least: 0.5, go: done}]
"""
    assert read(tmp_path, choice % "done" + END)
    with pytest.raises(OptdetError, match="lead round without a limit"):
        read(tmp_path, choice % "first" + END)


def test_overrides_and_pairs_are_checked(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(f"{HEAD}stages:\n{END}")

    assert load_playbook(path, ("target=0.8", "stages.done.title=x")).target == 0.8
    with pytest.raises(OptdetError, match="wait: leaderboard needs test_images"):
        load_playbook(path, ("wait=leaderboard",))
    with pytest.raises(OptdetError, match="images and labels go together"):
        load_playbook(path, ("images=val",))
    with pytest.raises(OptdetError, match="tagret"):
        load_playbook(path, ("tagret=0.8",))
