"""``optdet playbook``: what it shows before anything ran, and what it refuses."""

from __future__ import annotations

import json

import pytest

from optdet.shipped import shipped_folder

STUDIES = shipped_folder("studies")
B4 = STUDIES / "playbook_efficientnet_b4.yaml"


def test_a_dry_run_shows_the_way_and_touches_nothing(tmp_path, optdet):
    ran = optdet("playbook", "run", B4, "--dry-run", cwd=tmp_path)

    assert ran.code == 0
    assert "expected: postprocess -> sweep -> folds -> done" in ran.out
    assert "* sweep: 15 trials close around the settings, then the best alone (expected: 5-8 h" in ran.out
    assert "      below 0.961: pivot, else return" in ran.out
    assert list(tmp_path.iterdir()) == []
    other = optdet("playbook", "run", B4, "--dry-run", "--choose", "lr-retune", cwd=tmp_path)
    assert "expected: postprocess -> lr-retune -> folds -> done" in other.out


def test_status_before_anything_ran(tmp_path, optdet):
    ran = optdet("playbook", "status", B4, cwd=tmp_path)

    assert "not begun" in ran.out
    assert ran.out.count("[ ] ") == 7
    assert "next: postprocess -> sweep -> folds -> done" in ran.out
    shown = json.loads(optdet("playbook", "status", B4, "--json", cwd=tmp_path).out)
    assert shown["steps"] == []
    assert shown["ahead"] == ["postprocess", "sweep", "folds", "done"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--until", "swep"], "no stage is named 'swep'; did you mean sweep?"),
        (["--choose", "nothing"], "no stage is named 'nothing'; there are postprocess"),
        (["target=2"], "less than or equal to 1"),
        (["stages.folds.folds=1"], "greater than or equal to 2"),
        (["stages.mix.next=postprocess"], "lead round without a limit"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(tmp_path, optdet, words, message):
    assert message in optdet("playbook", "run", B4, *words, cwd=tmp_path).error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [("study", "create"), ("train",)])
def test_a_playbook_in_the_place_of_a_study_or_config(tmp_path, optdet, command):
    assert f"a playbook; run it: optdet playbook run {B4}" in optdet(*command, B4, cwd=tmp_path).error


def test_a_start_that_cannot_be_found(tmp_path, optdet):
    (tmp_path / "p.yaml").write_text(
        "target: 0.9\nstart: {source: nowhere.pt}\nstages: {first: {do: postprocess}}\n"
    )
    why = "start: nowhere.pt is neither a file nor a study; check the name"
    dry = optdet("playbook", "run", "p.yaml", "--dry-run", cwd=tmp_path)
    assert (dry.code, "note: a run would stop before its first step: playbook p: " + why in dry.err) == (
        0,
        True,
    )
    assert why in optdet("playbook", "run", "p.yaml", cwd=tmp_path).error
    (tmp_path / "q.yaml").write_text(
        "target: 0.9\nstart: {source: mine, config: lost.yaml}\nstages: {first: {do: postprocess}}\n"
    )
    refused = optdet("playbook", "run", "q.yaml", cwd=tmp_path)
    assert "'lost.yaml' is neither beside the playbook nor below the working directory" in refused.error
