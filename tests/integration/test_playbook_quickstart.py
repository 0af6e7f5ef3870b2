"""The small playbook that ships, whole: from its start through three gates to its end, killed on the way."""

from __future__ import annotations

import json
import signal

import pytest

from optdet.config_io import load_config
from optdet.shipped import shipped_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

RUN = ("playbook", "run", shipped_folder("studies") / "playbook_quickstart.yaml")


@pytest.fixture(scope="module")
def done(tmp_path_factory, commands, moment):
    """A folder in which it was killed in the search and in the folds, and then came to its end; and what the
    last run said."""
    folder = tmp_path_factory.mktemp("playbook")
    for where in (
        moment("optdet.training.fit:epoch_score", 14),  # of 4 + 6 x 4 + 6 epochs
        moment("optdet.playbook.fold_stage:combine", 1),
    ):
        killed = commands.run(*RUN, cwd=folder, kill=where)
        assert killed.code == -signal.SIGKILL, killed.err
    ended = commands.run(*RUN, cwd=folder)
    assert ended.code == 0, ended.err
    return folder, ended


@pytest.fixture(scope="module")
def status(done, commands):
    return json.loads(commands.run("playbook", "status", RUN[-1], "--json", cwd=done[0]).out)


def test_it_goes_through_three_gates_and_says_why(done, status):
    steps = {step["stage"]: step for step in status["steps"]}

    assert list(steps)[:3] == ["start", "postprocess", "sweep"]
    assert list(steps)[-1] in ("done", "return")
    gates = [step["decision"] for name, step in steps.items() if name in ("postprocess", "sweep", "folds")]
    assert len(gates) == 3
    assert all(": " in gate["reason"] for gate in gates)
    assert done[1].err.count("on other images like these") >= 1  # the last run took the rest of them
    assert "at an end" in done[1].out


def test_every_stage_has_a_score_on_images_left_out_of_its_choices(status):
    for step in status["steps"]:
        assert 0.5 < step["result"]["hmean_crossfit"] <= step["result"]["hmean"] + 0.02, step["stage"]
        assert step["score"] == step["result"]["hmean_crossfit"]


def test_the_folds_leave_a_config_and_an_ensemble_that_predicts_its_score(done, status, commands):
    folder = done[0]
    folds = next(step for step in status["steps"] if step["stage"] == "folds")["result"]

    assert load_config(folder / folds["config"]).data.synthetic is not None
    assert folds["members"] == [f"quickstart-folds:{number}" for number in range(3)]
    assert any("best member" in line for line in folds["lines"])
    best = json.loads(commands.run("study", "best", "playbook-start", "--json", cwd=folder).out)
    words = ("--images", best["val"]["images"], "--out", "voted.csv")
    assert commands.run("predict", folds["source"], *words, cwd=folder).code == 0
    scores = commands.run("evaluate", "voted.csv", "--labels", best["val"]["labels"], "--json", cwd=folder)
    assert json.loads(scores.out)["competition"]["macro"]["hmean"] == folds["hmean"]


def test_the_checklist_knows_what_was_done(status):
    done = {line["text"].partition(" (")[0]: line["done"] for line in status["checklist"]}

    assert done["smart post-processing run"]
    assert done["config written"]
    assert done["three folds trained"]
    assert done["voting ensemble"]
