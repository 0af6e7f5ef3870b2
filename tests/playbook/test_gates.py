"""A gate sends where its branches say, and says why."""

from __future__ import annotations

import numpy as np
import pytest

from optdet.playbook.definition import PlaybookConfig
from optdet.playbook.gates import Decision, Visit, branch_probabilities, decide, expected_path
from optdet.playbook.graph import check_graph, load_playbook
from optdet.shipped import shipped_folder

B4 = shipped_folder("studies") / "playbook_efficientnet_b4.yaml"


@pytest.fixture(scope="module")
def b4() -> PlaybookConfig:
    return load_playbook(B4)


def go_through(playbook, *scores, chosen=()):
    """The stages that follow from these scores, with the reason of each decision."""
    visits = [Visit(playbook.first_stage, None)]
    for score in scores:
        decision = decide(playbook, visits, score, chosen)
        visits[-1] = Visit(visits[-1].stage, decision)
        visits.append(Visit(decision.go, None))
    return [visit.stage for visit in visits], [visit.decision.reason for visit in visits[:-1]]


@pytest.mark.parametrize(
    ("scores", "path"),
    [
        ([0.963], ["folds"]),
        ([0.9629999], ["sweep"]),
        ([0.961], ["sweep"]),
        ([0.9609999], ["pivot"]),
        ([0.962, 0.965], ["sweep", "folds"]),
        ([0.962, 0.964], ["sweep", "lr-retune"]),
        ([0.962, 0.964, 0.9641], ["sweep", "lr-retune", "folds"]),
        ([0.95, None, 0.963], ["pivot", "postprocess", "folds"]),
        ([0.95, None, 0.95], ["pivot", "postprocess", "return"]),
        ([0.95, None, 0.962, 0.9, 0.9], ["pivot", "postprocess", "sweep", "lr-retune", "folds"]),
        ([0.97, 0.965], ["folds", "done"]),
        ([0.97, 0.9649], ["folds", "mix"]),
        ([0.97, 0.963, 0.5], ["folds", "mix", "done"]),
        ([0.97, 0.9629], ["folds", "return"]),
        ([0.97, 0.97, None], ["folds", "done", None]),
    ],
)
def test_the_shipped_playbook_goes_as_the_strategy_says(b4, scores, path):
    assert go_through(b4, *scores)[0] == ["postprocess", *path]


def test_a_choice_is_the_users_and_the_other_comes_once(b4):
    path, reasons = go_through(b4, 0.962, 0.9, 0.9, chosen=["lr-retune"])

    assert path == ["postprocess", "lr-retune", "sweep", "folds"]
    assert reasons == [
        "0.9620: 0.961 to 0.963; chosen of sweep and lr-retune",
        "0.9000: below 0.965; the other of the choice",
        "0.9000: below 0.965; every other of the choice was taken",
    ]


def test_a_limit_is_said(b4):
    assert go_through(b4, 0.9, None, 0.9)[1][-1] == "0.9000: below 0.961; pivot was entered once already"


def test_the_expected_path_ends_or_says_that_it_depends(b4):
    whole = expected_path(b4, [Visit("postprocess", None)])
    again = expected_path(b4, [Visit("postprocess", Decision("pivot", "")), Visit("pivot", None)])

    assert [visit.stage for visit in whole] == ["postprocess", "sweep", "folds", "done"]
    assert [visit.stage for visit in again] == [
        "postprocess",
        "pivot",
        "postprocess",
        "sweep",
        "folds",
        "done",
    ]

    silent = b4.stages["folds"].model_copy(update={"expected": b4.stages["pivot"].expected})
    unsure = b4.model_copy(update={"stages": {**b4.stages, "folds": silent}})
    path = expected_path(unsure, [Visit("folds", None)])
    assert [visit.stage for visit in path] == ["folds"]
    assert path[-1].decision is None


def test_branches_are_as_likely_as_bootstrap_means_lie_in_them(b4):
    hmeans = np.random.default_rng(0).normal(0.90, 0.02, 60)
    found = branch_probabilities(b4.stages["postprocess"].gate, hmeans, 0.962)
    shares = {branch.interval: share for branch, share in found}

    assert sum(shares.values()) == pytest.approx(1)
    # The standard error is 0.02 / sqrt(60) = 0.0026: 0.963 lies 0.39 of it above, 0.961 as much below.
    assert shares["0.963 or more"] == pytest.approx(0.35, abs=0.05)
    assert shares["below 0.961"] == pytest.approx(0.35, abs=0.05)
    assert branch_probabilities(b4.stages["postprocess"].gate, [0.9], 0.97)[0][1] == 1.0


def test_the_seven_lines_of_the_checklist(b4):
    check_graph(b4, "b4")
    assert [line.text for line in b4.checklist] == [
        "smart post-processing run",
        "nine files submitted",
        "best parameters found (96.3 or more)",
        "config written",
        "five folds trained",
        "voting ensemble (3 or more)",
        "final submission (96.5 or more)",
    ]
