"""A large study's page: nothing but what makes it slow is left out."""

from __future__ import annotations

import json

import plotly.graph_objects as go
import pytest
from optuna.trial import TrialState, create_trial

from optdet.tuning.dashboard_large import LARGE, N_CURVES, lighter

TRICKY = 'a "quoted", {"key": "config", "value": "x"} one\\'


def body(attributes, graphs=(), n_trials=2):
    study = {
        "name": "mine",
        "trials": [
            {"number": number, "user_attrs": [{"key": key, "value": value} for key, value in attributes]}
            for number in range(n_trials)
        ],
        "has_intermediate_values": True,
        "plotly_graph_objects": list(graphs),
    }
    return json.dumps(study).encode()


def trials(n_trials=LARGE):
    return [
        create_trial(value=number / 1000, intermediate_values={1: 0.0, 2: number / 1000})
        for number in range(n_trials)
    ]


def shortened(attributes):
    return [(key, "..." if key in ("config", "versions") else value) for key, value in attributes]


@pytest.mark.parametrize(
    "attributes",
    [
        [],
        [("config", TRICKY)],
        [("config", "{}"), ("versions", "{}")],
        [("a", TRICKY), ("config", TRICKY), ("b", "1"), ("versions", TRICKY)],
        [("config", TRICKY), ("versions", "1"), ("a", TRICKY), ("b", TRICKY)],
        [("a", "1"), ("config", "2"), ("versions", "3"), ("config", "4"), ("b", "5")],
    ],
)
@pytest.mark.parametrize("graphs", [[], [{"id": "landscape", "graph_object": "{}"}]])
def test_settings_are_shortened_and_everything_else_stays(attributes, graphs):
    before, after = body(attributes, graphs), json.loads(lighter(body(attributes, graphs), trials()))
    expected = json.loads(before)
    for trial in expected["trials"]:
        trial["user_attrs"] = [{"key": key, "value": value} for key, value in shortened(attributes)]
    assert after["has_intermediate_values"] is False
    curves, *rest = after.pop("plotly_graph_objects")
    assert rest == graphs
    assert curves["id"] == "curves"
    for each in (after, expected):
        each.pop("has_intermediate_values")
        each.pop("plotly_graph_objects", None)
    assert after == expected


def test_the_curves_are_those_of_the_best_and_of_trials_at_work():
    running = create_trial(state=TrialState.RUNNING, intermediate_values={1: float("nan")})
    found = json.loads(lighter(body([]), [*trials(), running]))["plotly_graph_objects"][0]
    figure = go.Figure(json.loads(found["graph_object"]))  # which refuses what Plotly does not know
    assert len(figure.data) == N_CURVES + 1
    assert figure.data[0].y == (0.0, (LARGE - 1) / 1000)
    assert figure.data[-1].y == (None,)


def test_a_small_study_and_an_unknown_text_are_left_as_they_are():
    assert lighter(body([("config", "x")]), trials(LARGE - 1)) == body([("config", "x")])
    other = body([]).replace(b'"has_intermediate_values": ', b'"has_intermediate_values":')
    assert lighter(other, trials()) == other
